//! `wasi:sockets`: there is a network, and nothing on it is permitted.
//!
//! No socket can be made and no name be looked up. So the functions on sockets, which
//! `wasmtime-wasi` has, are there only for components to link.

use outlayer_guest::{HostCall, Work};
use wasmtime::{Result, component::Resource};
use wasmtime_wasi::p2::{
    DynPollable, IoError, Network, SocketError, SocketResult, TcpSocket, UdpSocket,
    bindings::sockets::{
        instance_network,
        ip_name_lookup::{self, IpAddress, ResolveAddressStream},
        network::{self, ErrorCode, IpAddressFamily},
        tcp_create_socket, udp_create_socket,
    },
};

use crate::state::State;

impl State {
    /// The answer to whoever wants a socket.
    fn no_socket<T>(&mut self) -> SocketResult<T> {
        self.enter().map_err(SocketError::trap)?;
        Err(ErrorCode::AccessDenied.into())
    }
}

impl network::Host for State {
    fn convert_error_code(&mut self, error: SocketError) -> Result<ErrorCode> {
        error.downcast()
    }

    /// Not linked: the function is no stable part of the interface.
    fn network_error_code(&mut self, error: Resource<IoError>) -> Result<Option<ErrorCode>> {
        super::network(self).network_error_code(error)
    }
}

impl network::HostNetwork for State {
    fn drop(&mut self, network: Resource<Network>) -> Result<()> {
        Ok(self.remove(network)?)
    }
}

impl instance_network::Host for State {
    fn instance_network(&mut self) -> Result<Resource<Network>> {
        self.enter()?;
        instance_network::Host::instance_network(&mut super::network(self))
    }
}

impl tcp_create_socket::Host for State {
    fn create_tcp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        self.no_socket()
    }
}

impl udp_create_socket::Host for State {
    async fn create_udp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        self.no_socket()
    }
}

impl ip_name_lookup::Host for State {
    fn resolve_addresses(
        &mut self,
        _: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        let paid = self.enter().and_then(|()| self.charge(Work::Read(name.len() as u64)));
        paid.map_err(SocketError::trap)?;
        Err(ErrorCode::AccessDenied.into())
    }
}

/// There are no lookups that these functions could be called on.
impl ip_name_lookup::HostResolveAddressStream for State {
    fn resolve_next_address(
        &mut self,
        lookup: Resource<ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        super::network(self).resolve_next_address(lookup)
    }

    fn subscribe(
        &mut self,
        lookup: Resource<ResolveAddressStream>,
    ) -> Result<Resource<DynPollable>> {
        super::network(self).subscribe(lookup)
    }

    fn drop(&mut self, lookup: Resource<ResolveAddressStream>) -> Result<()> {
        ip_name_lookup::HostResolveAddressStream::drop(&mut super::network(self), lookup)
    }
}
