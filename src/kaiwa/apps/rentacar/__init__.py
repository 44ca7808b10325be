"""A rental car desk: three shops around Tokyo, their vehicles, and bookings that never overlap."""
