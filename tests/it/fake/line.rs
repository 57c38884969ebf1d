//! Connections that can be broken on purpose, which no ordinary handler can do.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Cut {
    /// As it should.
    None = 0,
    /// Reset before anything is written.
    Reset = 1,
    /// Closed in the middle of the next body.
    Half = 2,
    /// Closed now.
    Closed = 3,
}

/// Gives a handler power over its own connection.
#[derive(Debug, Clone)]
pub struct Handle(Arc<AtomicU8>);

impl Handle {
    /// Breaks the connection at its next answer.
    pub fn cut(&self, cut: Cut) {
        self.0.store(cut as u8, Ordering::SeqCst);
    }
}

impl Connected<IncomingStream<'_, Door>> for Handle {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().handle.clone()
    }
}

/// A listener whose connections can be broken.
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
}

impl Door {
    /// Listens at an address; port 0 takes a free one.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Listener for Door {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        (Line { stream, handle: Handle(Arc::new(AtomicU8::new(Cut::None as u8))) }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// One connection.
pub struct Line {
    stream: TcpStream,
    handle: Handle,
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let cut = self.handle.0.load(Ordering::SeqCst);
        if cut == Cut::Reset as u8 {
            // Without lingering, closing the socket resets the connection.
            self.stream.set_zero_linger()?;
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if cut == Cut::Closed as u8 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut bytes = bytes;
        if cut == Cut::Half as u8
            && let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n")
        {
            let body = bytes.len() - head - 4;
            bytes = &bytes[..head + 4 + body / 2];
        }
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if cut == Cut::Half as u8 && written.is_ready() {
            self.handle.cut(Cut::Closed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
