*** Settings ***
Documentation     The image of build/mps2_an500 boots in Renode as it does in QEMU, to MicroPython's prompt.
...               renode-test tests/renode/boot.robot
...               Timeouts are in virtual seconds.
Suite Setup       Setup
Suite Teardown    Teardown
Test Setup        Reset Emulation
Test Teardown     Test Teardown
Resource          ${RENODEKEYWORDS}

*** Variables ***
${ROOT}           ${CURDIR}/../..
${IMAGE}          ${ROOT}/build/mps2_an500/firmware.elf
${SCRIPT}         ${ROOT}/boards/mps2_an500/renode/mps2_an500.resc
# "REPL" in the factory page: start neither boot nor main.
${FACTORY_START}  0x60A00008
${REPL_ONLY}      0x4C504552

*** Keywords ***
Boot To The Prompt
    Execute Command           $bin=@${IMAGE}
    Execute Command           include @${SCRIPT}
    Execute Command           sysbus WriteDoubleWord ${FACTORY_START} ${REPL_ONLY}
    Create Terminal Tester    sysbus.uart0    timeout=5    defaultPauseEmulation=true
    Start Emulation
    Wait For Line On Uart     MicroPython v\\d+\\.\\d+.*Cortex-M7    treatAsRegex=true
    Wait For Prompt On Uart   >>>

Line Gives
    [Documentation]    What the prompt prints for a line of Python. No blank round an equals sign makes a named argument.
    [Arguments]               ${line}    ${expected}
    Write Line To Uart        ${line}
    Wait For Line On Uart     ${expected}    treatAsRegex=true
    Wait For Prompt On Uart   >>>

*** Test Cases ***
Should Boot To The Prompt
    Boot To The Prompt
    Line Gives    print('six by nine', 6 * 9)    ^six by nine 54

Should Keep Time
    Boot To The Prompt
    Line Gives    import time; a = time.ticks_ms(); time.sleep_ms(200); print('slept', time.ticks_diff(time.ticks_ms(), a))    ^slept 20[01]

Should Know Why It Started
    Boot To The Prompt
    Line Gives                import machine; print('power on', machine.reset_cause() == machine.PWRON_RESET)    ^power on True
    Write Line To Uart        machine.reset()
    Wait For Line On Uart     MicroPython v\\d+\\.\\d+.*Cortex-M7    treatAsRegex=true
    Wait For Prompt On Uart   >>>
    Line Gives                import machine; print('hard', machine.reset_cause() == machine.HARD_RESET)    ^hard True

Should Keep Its NVM Over A Reset
    Boot To The Prompt
    Line Gives                import mps2; mps2.nvm_erase(0x7000); mps2.nvm_program(0x7000, b'kept'); print('written')    ^written
    Write Line To Uart        import machine; machine.reset()
    Wait For Line On Uart     MicroPython v\\d+\\.\\d+.*Cortex-M7    treatAsRegex=true
    Wait For Prompt On Uart   >>>
    Line Gives                import mps2; b = bytearray(4); mps2.nvm_read(0x7000, b); print('read', bytes(b))    ^read b'kept'

Should Take The Uart As Its Afe Link
    [Documentation]    Without "DMA1" in the factory page the board takes the real UART, as the rig needs it here.
    Boot To The Prompt
    Line Gives    import mps2; print('dma line', mps2.dma_line())    ^dma line False

Should Receive On The Afe Link While It Waits
    [Documentation]    Two frames at once, then waiting for the third: device time stands still meanwhile.
    Boot To The Prompt
    Write Line To Uart        import mps2; u = mps2.UART(1, lockstep=True); a = mps2.counts(); u.wait_frame(); b = u.any(); u.read(b); u.wait_frame(); print('frames', b, u.any(), mps2.counts() - a < 100000)
    Execute Command           sysbus.uart1 WriteChar 0x31
    Execute Command           sysbus.uart1 WriteChar 0x00
    Execute Command           sysbus.uart1 WriteChar 0x32
    Execute Command           sysbus.uart1 WriteChar 0x33
    Execute Command           sysbus.uart1 WriteChar 0x00
    Wait For Line On Uart     ^frames 2 3 True    treatAsRegex=true
