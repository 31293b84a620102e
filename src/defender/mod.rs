//! (room)

mod slice;
