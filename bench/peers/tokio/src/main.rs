//! Echo on tokio: a task for each connection, which reads and writes back. Back-pressure comes from `write_all`.
//! Usage: echo tcp|udp PORT current|multi

use socket2::{Domain, Protocol, Socket, Type};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

const TCP_BUFFER: usize = 32 * 1024;
const UDP_BUFFER: usize = 64 * 1024;
const UDP_KERNEL_BUFFER: usize = 4 << 20;

fn main() -> std::io::Result<()> {
    let [protocol, port, runtime] = <[String; 3]>::try_from(std::env::args().skip(1).collect::<Vec<_>>())
        .expect("echo tcp|udp PORT current|multi");
    let mut builder = match runtime.as_str() {
        "multi" => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a port")));
    let runtime = builder.enable_io().build()?;
    match protocol.as_str() {
        "udp" => runtime.block_on(runtime.spawn(serve_udp(address)))?,
        _ => runtime.block_on(runtime.spawn(serve_tcp(address)))?,
    }
}

async fn serve_tcp(address: SocketAddr) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(stream));
        }
    }
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; TCP_BUFFER];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length]).await?;
    }
}

async fn serve_udp(address: SocketAddr) -> std::io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(UDP_KERNEL_BUFFER)?;
    socket.set_send_buffer_size(UDP_KERNEL_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let socket = UdpSocket::from_std(socket.into())?;
    let mut buffer = vec![0; UDP_BUFFER];
    loop {
        if let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(&buffer[..length], peer).await;
        }
    }
}
