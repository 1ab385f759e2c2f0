//! HTTPS in front of a server on loopback, for what is asked for by a server's name: `.well-known` has no other address.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};

/// Python's own TLS, for no test is to wait for a TLS library to be compiled. It ends when its input does, that is with us.
/// `argv`: certificate and key, the port behind.
const SCRIPT: &str = "
import socket, ssl, sys, threading

def pipe(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.close()
        except OSError:
            pass

def serve(raw):
    try:
        front = context.wrap_socket(raw, server_side=True)
        back = socket.create_connection(('127.0.0.1', int(sys.argv[2])))
    except OSError:
        return raw.close()
    threading.Thread(target=pipe, args=(front, back), daemon=True).start()
    pipe(back, front)

def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
threading.Thread(target=accept, daemon=True).start()
sys.stdin.read()
";

/// A server that speaks HTTPS for another. Dropping it ends it.
#[derive(Debug)]
pub struct TlsFront {
    process: Child,
    port: u16,
}

impl TlsFront {
    /// In front of the server at this address, such as `fake.url()`.
    pub fn start(server: &str) -> Result<Self> {
        let (_, port) = server.rsplit_once(':').context("the address has a port")?;
        let mut process = Command::new("python3")
            .args(["-c", SCRIPT])
            .arg(Self::certificate())
            .arg(port)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("python3 is needed")?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("its output")?).read_line(&mut line)?;
        let port = line.trim().parse().context("it did not start")?;
        Ok(Self { process, port })
    }

    /// The server name under which it is found.
    pub fn server_name(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The certificate to be trusted, for `SSL_CERT_FILE`. Its key stands beside it and protects nothing.
    pub fn certificate() -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/data/localhost.pem"))
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}
