//! Tries what no guest may do, with the standard library alone, and goes on: files, sockets, names
//! of other machines. Each attempt gives an error that the guest can handle. Then it sleeps for an
//! hour, which takes no time.

use std::{
    fs,
    net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use outlayer_sdk::output;

const HOUR: Duration = Duration::from_secs(3_600);

fn main() {
    let attempts = [
        ("read a file", fs::read("/etc/passwd").is_err()),
        ("write a file", fs::write("note", "text").is_err()),
        ("list a folder", fs::read_dir("/").is_err()),
        ("connect", TcpStream::connect(("127.0.0.1", 80)).is_err()),
        ("listen", TcpListener::bind(("0.0.0.0", 80)).is_err()),
        ("send a datagram", UdpSocket::bind(("0.0.0.0", 53)).is_err()),
        ("look up a name", ("example.org", 443).to_socket_addrs().is_err()),
    ];
    for (attempt, refused) in attempts {
        output::write(format!("{attempt}: {}\n", if refused { "refused" } else { "done" }));
    }
    let begun = Instant::now();
    thread::sleep(HOUR);
    output::write(format!("slept for {} s\n", begun.elapsed().as_secs()));
}
