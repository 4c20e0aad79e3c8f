*** Settings ***
Documentation     Every scenario of the rig that Renode can run, one test each, by the rig's own command. They are listed
...               by that command, so a new scenario file is a new test; power cuts and the watchdog are for QEMU.
...               renode-test tests/renode/scenarios.robot    or    robot tests/renode/scenarios.robot
...               renode-test --variable SCENARIO:drive_cycle tests/renode/scenarios.robot    runs one of them
...               renode-test --variable MATRIX:yes tests/renode/scenarios.robot    the generated ones, too
Suite Setup       List Scenarios
Suite Teardown    No Operation
Test Setup        No Operation
Test Teardown     No Operation
Library           OperatingSystem
Library           Process
Library           ${CURDIR}/ScenarioTests.py

*** Variables ***
${ROOT}           ${CURDIR}/../..
${CELLKEEPER}     ${ROOT}/.venv/bin/cellkeeper
${REPORTS}        ${ROOT}/build/hil/mps2_an500-renode
${SCENARIO}       ${EMPTY}
${MATRIX}         ${EMPTY}
# Wall time. Virtual time goes as fast as the host can.
${TIMEOUT}        4h

*** Keywords ***
List Scenarios
    @{generated}=    Evaluate    ['--matrix'] if $MATRIX else []
    ${list}=    Run Process    ${CELLKEEPER}    hil    list    --emulator    renode    @{generated}
    Should Be Equal As Integers    ${list.rc}    0    ${list.stdout}${list.stderr}
    Add Scenario Tests    ${list.stdout}    ${SCENARIO}

Scenario Should Pass
    [Arguments]    ${name}
    Create Directory    ${REPORTS}/${name}
    ${run}=    Run Process    ${CELLKEEPER}    hil    run    ${name}    --target    mps2_an500    --emulator    renode
    ...    --out    ${REPORTS}/${name}    timeout=${TIMEOUT}    stdout=${REPORTS}/${name}/run.log    stderr=STDOUT
    Should Be Equal As Integers    ${run.rc}    0    ${run.stdout}
    File Should Exist    ${REPORTS}/${name}/junit.xml

*** Test Cases ***
Renode Should Be On Path
    ${version}=    Run Process    renode    --version
    Should Be Equal As Integers    ${version.rc}    0    ${version.stdout}${version.stderr}
