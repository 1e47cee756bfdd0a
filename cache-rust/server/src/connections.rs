//! Connections as they are accepted, each with what it costs charged while it lives, and closed so that the last answer
//! arrives.

use crate::buffers::{CONNECTION_BYTES, Charge};
use crate::node::Node;
use futures::{Stream, StreamExt};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

/// How long a closed connection is still read. A caller that is there closes its side within a round trip.
const LINGER: Duration = Duration::from_millis(250);

/// A connection and its charge.
pub struct Charged {
    stream: TcpStream,
    /// Since nothing more is written.
    lingering: Option<Pin<Box<Sleep>>>,
    _charge: Charge,
}

/// Charges every connection.
pub fn charged(
    incoming: TcpIncoming,
    node: Arc<Node>,
) -> impl Stream<Item = io::Result<Charged>> + Send + 'static {
    incoming.map(move |stream| {
        stream.map(|stream| Charged {
            stream,
            lingering: None,
            _charge: Charge::new(&node, CONNECTION_BYTES),
        })
    })
}

impl Connected for Charged {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Charged {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Charged {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Says that nothing more will come, then reads what the caller still sends until it has closed its side, too: a
    /// socket that is closed with bytes unread is reset, and what was answered last, the reason of a drain among it,
    /// would be lost on its way (RFC 9112, section 9.6, on TCP).
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        let limit = this.lingering.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        if limit.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut scratch = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut this.stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                // It has closed its side, or the connection is broken.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}
