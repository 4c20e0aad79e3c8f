"""From a pack over a real broker into the store, out of the API, and the acknowledgement back."""

import edge
from edge import Edge
