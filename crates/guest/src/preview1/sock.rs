//! Sockets, of which there are none.

use super::{
    errno::{Errno, NOTSOCK},
    fd,
};
use crate::{call::HostCall, stop::Stop};

macro_rules! without_socket {
    ($($name:ident),* $(,)?) => {$(
        /// Fails: `fd` is not a socket.
        ///
        /// # Errors
        /// A [`Stop`] for an exceeded limit.
        pub fn $name(call: &mut impl HostCall, fd: u32) -> Result<Errno, Stop> {
            fd::fail(call, fd, NOTSOCK)
        }
    )*};
}

without_socket!(sock_accept, sock_recv, sock_send, sock_shutdown);
