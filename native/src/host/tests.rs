//! Connections over real sockets, carried by nobody who knows SIP.

use std::net::SocketAddr;
use std::time::Duration;

use offhook_core::host::{Flow, RequestId, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::connection::{ConnectionEvent, Ends, Unsent};
use super::dial::{ConnectError, Dialled};
use super::listener::Limits;
use super::sockets::{ConnectionOptions, Next, Sockets};

const HERE: &str = "127.0.0.1:0";

fn listening(limits: Limits) -> (Sockets, SocketAddr) {
    listening_for(Transport::Tcp, ConnectionOptions { limits, ..ConnectionOptions::default() })
}

fn listening_for(transport: Transport, options: ConnectionOptions) -> (Sockets, SocketAddr) {
    let mut sockets = Sockets::new(options);
    let address = sockets.listen(transport, HERE.parse().unwrap()).unwrap();
    (sockets, address)
}

/// What happens next to a connection; those who knock are let in.
async fn event(sockets: &mut Sockets) -> ConnectionEvent {
    loop {
        match timeout(Duration::from_secs(60), sockets.next()).await.expect("something happens") {
            Next::Connection(event) => return event,
            Next::Connecting(index, stream, from) => {
                sockets.receive_guest(index, stream, from);
            }
            Next::Datagrams(_) => {}
        }
    }
}

async fn accepted(sockets: &mut Sockets) -> Flow {
    let ConnectionEvent::Accepted(accepted) = event(sockets).await else {
        panic!("nobody came in")
    };
    let ends = Ends { local: accepted.local, peer: accepted.from };
    sockets.connections.admit(accepted.flow, ends, accepted.wire, Some(accepted.reservation));
    accepted.flow
}

async fn dial(sockets: &mut Sockets, to: SocketAddr) -> Result<Flow, ConnectError> {
    dial_for(Transport::Tcp, sockets, to).await
}

async fn dial_for(
    transport: Transport,
    sockets: &mut Sockets,
    to: SocketAddr,
) -> Result<Flow, ConnectError> {
    sockets.dial(RequestId(7), transport, to, "peer.example".into());
    let ConnectionEvent::Dialled { id: RequestId(7), flow, to, result } = event(sockets).await
    else {
        panic!("the request is answered")
    };
    let Dialled { wire, local, .. } = *result?;
    sockets.connections.admit(flow, Ends { local, peer: to }, wire, None);
    Ok(flow)
}

async fn came(sockets: &mut Sockets, wanted: Flow, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        let ConnectionEvent::Came(flow, bytes) = event(sockets).await else { panic!("bytes come") };
        assert_eq!(flow, wanted);
        all.extend_from_slice(&bytes);
    }
    all
}

#[tokio::test]
async fn messages_pass_in_order_and_a_close_lets_them_leave() {
    let (mut server, address) = listening(Limits::default());
    let (mut client, _) = listening(Limits::default());
    let out = tokio::spawn(async move {
        let flow = dial(&mut client, address).await.unwrap();
        for i in 0..100_u8 {
            client.connections.send(flow, &vec![i; 1_000]).unwrap();
        }
        client.connections.close(flow);
        assert_eq!(client.connections.send(flow, b"late"), Err(Unsent::Unknown));
    });
    let flow = accepted(&mut server).await;
    let all = came(&mut server, flow, 100_000).await;
    assert!(all.chunks(1_000).zip(0_u8..).all(|(chunk, i)| chunk.iter().all(|byte| *byte == i)));
    assert!(matches!(event(&mut server).await, ConnectionEvent::Lost(lost) if lost == flow));
    assert!(server.connections.forget(flow));
    assert!(!server.connections.forget(flow), "it is told once");
    out.await.unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_left() {
    let silent = TcpListener::bind(HERE).await.unwrap();
    let (mut client, _) = listening(Limits::default());
    let flow = dial(&mut client, silent.local_addr().unwrap()).await.unwrap();
    let _kept = silent.accept().await.unwrap();
    let mut sent = 0;
    while client.connections.send(flow, &[0; 60_000]).is_ok() {
        sent += 60_000;
        assert!(sent < 100_000_000, "there is a bound");
        tokio::task::yield_now().await;
    }
    assert!(client.connections.ends(flow).is_none());
}

#[tokio::test]
async fn what_is_left_unread_does_not_reset_a_goodbye() {
    let (mut server, address) = listening(Limits::default());
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(&[b'x'; 20_000]).await.unwrap();
    let flow = accepted(&mut server).await;
    server.connections.send(flow, b"400 goodbye").unwrap();
    server.connections.close(flow);
    let mut heard = Vec::new();
    peer.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"400 goodbye");
}

#[tokio::test]
async fn what_is_in_the_way_is_said() {
    let gone = std::net::TcpListener::bind(HERE).unwrap().local_addr().unwrap();
    let (mut client, _) = listening(Limits::default());
    let refused = ConnectError::Unreachable("connection refused".into());
    assert_eq!(dial(&mut client, gone).await, Err(refused));
    let other = "[::1]:5060".parse().unwrap();
    let family = ConnectError::Unreachable("no address of ours leads there".into());
    assert_eq!(dial(&mut client, other).await, Err(family));
}

#[tokio::test]
async fn more_than_a_peer_may_hold_are_turned_away() {
    let (mut server, address) = listening(Limits { per_address: 2, total: 9 });
    let mut kept = Vec::new();
    for _ in 0..2 {
        kept.push(TcpStream::connect(address).await.unwrap());
        accepted(&mut server).await;
    }
    let mut third = TcpStream::connect(address).await.unwrap();
    let closed = async { third.read(&mut [0]).await.unwrap_or(0) };
    tokio::select! {
        count = closed => assert_eq!(count, 0),
        _ = event(&mut server) => panic!("there is no reservation"),
    }
    kept.remove(0);
    assert!(matches!(event(&mut server).await, ConnectionEvent::Lost(_)));
    let _again = TcpStream::connect(address).await.unwrap();
    accepted(&mut server).await;
}

#[tokio::test]
async fn a_port_in_use_is_told_by_its_transport() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut sockets = Sockets::new(ConnectionOptions::default());
        let taken = sockets.listen(transport, HERE.parse().unwrap()).unwrap();
        let error = sockets.listen(transport, taken).unwrap_err().to_string();
        assert!(error.contains(&format!("{} {taken}", transport.as_str())), "{error}");
        assert!(error.contains("in use"), "{error}");
    }
}

#[tokio::test]
async fn one_port_serves_every_transport_and_family() {
    let mut sockets = Sockets::new(ConnectionOptions::default());
    let any = "0.0.0.0:0".parse().unwrap();
    sockets.listen_at(&[Transport::Udp, Transport::Tcp], any).unwrap();
    let listening = sockets.listening();
    let port = listening[0].1.port();
    assert!(listening.len() >= 2 && listening.iter().all(|(_, at)| at.port() == port));
    assert!(listening.iter().filter(|(_, at)| at.is_ipv4()).count() == 2, "{listening:?}");
}

#[tokio::test]
async fn a_rebound_socket_keeps_its_number_and_its_port_and_connections_end() {
    let (mut server, address) = listening(Limits::default());
    let udp = server.listen(Transport::Udp, HERE.parse().unwrap()).unwrap();
    let flow = server.datagrams[0].flow;
    let _peer = TcpStream::connect(address).await.unwrap();
    let accepted = accepted(&mut server).await;
    assert_eq!(server.rebind(), [accepted]);
    assert_eq!(server.datagrams[0].flow, flow);
    assert_eq!(server.listening(), [(Transport::Udp, udp), (Transport::Tcp, address)]);
    TcpStream::connect(address).await.unwrap();
}

#[tokio::test]
async fn web_sockets_keep_messages_apart_and_ask_for_a_path() {
    let (mut server, address) = listening_for(Transport::Ws, ConnectionOptions::default());
    let path = "/sip?token=1".to_owned();
    let options = ConnectionOptions { websocket_path: path, ..ConnectionOptions::default() };
    let (mut client, _) = listening_for(Transport::Tcp, options);
    let (here, there) =
        tokio::join!(dial_for(Transport::Ws, &mut client, address), accepted(&mut server));
    let here = here.unwrap();
    for message in [&b"one"[..], b"two", b"\xff\xfe", b""] {
        client.connections.send(here, message).unwrap();
    }
    for message in [&b"one"[..], b"two", b"\xff\xfe", b""] {
        match event(&mut server).await {
            ConnectionEvent::Came(flow, bytes) if flow == there => assert_eq!(bytes, message),
            _ => panic!("each message comes by itself"),
        }
    }
    server.connections.send(there, b"back").unwrap();
    assert_eq!(came(&mut client, here, 4).await, b"back");
    client.connections.close(here);
    assert!(matches!(event(&mut server).await, ConnectionEvent::Lost(lost) if lost == there));
}

#[tokio::test]
async fn a_web_socket_message_has_a_bound() {
    let (mut server, address) = listening_for(Transport::Ws, ConnectionOptions::default());
    let (mut client, _) = listening(Limits::default());
    let (here, there) =
        tokio::join!(dial_for(Transport::Ws, &mut client, address), accepted(&mut server));
    client.connections.send(here.unwrap(), &[b'x'; 65_537]).unwrap();
    assert!(matches!(event(&mut server).await, ConnectionEvent::Lost(lost) if lost == there));
}

/// A server that answers every request with these lines, and the client's words about it.
async fn words(answer: &'static str) -> String {
    let listener = TcpListener::bind(HERE).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (mut client, _) = listening(Limits::default());
    let server = async {
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let count = peer.read(&mut request).await.unwrap();
        let request = String::from_utf8_lossy(&request[..count]).to_lowercase();
        assert!(request.contains(&format!("host: peer.example:{}\r\n", address.port())));
        assert!(request.contains("sec-websocket-protocol: sip\r\n"), "{request}");
        assert!(!request.contains("origin"), "{request}");
        peer.write_all(answer.as_bytes()).await.unwrap();
        let _ = peer.read(&mut [0]).await;
    };
    let (result, ()) = tokio::join!(dial_for(Transport::Ws, &mut client, address), server);
    match result {
        Err(ConnectError::Unreachable(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_is_none_of_ours_is_told_apart() {
    let path = words("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(path, "it answered HTTP 404 (are the port and the path right?)");
    let other = words("SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(other, "it does not speak WebSocket (is the port right?)");
}

/// What a WebSocket server answers to a handshake with this field more.
async fn welcomed(field: &str) -> String {
    let origins = ["https://phone.example".to_owned()].into();
    let (mut server, address) =
        listening_for(Transport::Ws, ConnectionOptions { origins, ..ConnectionOptions::default() });
    let mut peer = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{field}\r\n\r\n"
    );
    peer.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 1024];
    let count = tokio::select! {
        count = peer.read(&mut answer) => count.unwrap(),
        _ = async { loop { event(&mut server).await; } } => 0,
    };
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

#[tokio::test]
async fn a_web_page_is_let_in_only_if_it_is_allowed() {
    let sip = "Sec-WebSocket-Protocol: sip";
    assert!(welcomed(sip).await.to_lowercase().contains("sec-websocket-protocol: sip"));
    assert!(welcomed("Sec-WebSocket-Protocol: mqtt").await.starts_with("HTTP/1.1 400"));
    let page = format!("{sip}\r\nOrigin: https://evil.example");
    assert!(welcomed(&page).await.starts_with("HTTP/1.1 403"));
    let page = format!("{sip}\r\nOrigin: https://phone.example");
    assert!(welcomed(&page).await.starts_with("HTTP/1.1 101"));
}
