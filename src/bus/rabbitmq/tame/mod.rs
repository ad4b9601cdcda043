//! What the broker sends, made harmless before the client library reads it.
//!
//! A message may come from anybody, and the broker looks at little of it. Where a text of a message is
//! no UTF-8, the library gives up the whole connection; where its tables have no floor, its thread's stack
//! overflows, and with it dies the process. Either way the message comes again, for ever, and nothing
//! else is done. So whatever is like that is overwritten on its way in, byte for byte: texts get question
//! marks, and tables that are too deep become bytes. Nobody here reads those.
//!
//! The library also gives up the connection over a frame that is longer than was agreed on, and the broker
//! keeps to that with bodies only. Where the headers of a message make such a frame, all go but the few that
//! are read here.
//!
//! | file | holds |
//! |---|---|
//! | `content` | what is inside a frame |
//! | `frames` | frame by frame |

mod content;
mod frames;

use std::future::Future;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_util::Stream;
use futures_util::io::{AsyncRead, AsyncWrite};
use lapin::tcp::{AMQPUriTcpExt, AsyncTcpStream, TLSConfig};
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties, Error};

use frames::Inflow;

/// So much is read at a time.
const CHUNK: usize = 16 * 1024;

/// Connects to a broker, with or without TLS.
///
/// # Errors
/// When it does not let us in.
pub async fn connect(uri: AMQPUri, properties: ConnectionProperties) -> Result<Connection, Error> {
    let tokio = Tokio::current();
    let runtime = Runtime::new(RuntimeParts::new(tokio.clone(), Tame(tokio.clone())));
    let tokio = Runtime::new(tokio);
    let wire = async move |uri: AMQPUri, _: Runtime<RuntimeParts<Tokio, Tame>>| {
        let wire = uri.connect_with_config_async(TLSConfig::default(), &tokio).await?;
        Ok(AsyncTcpStream::Plain(Tamed::of(wire, uri.query.frame_max.unwrap_or(0))))
    };
    Connection::connector(uri, runtime, wire, properties).await
}

/// A wire of the runtime, perhaps with TLS on it.
type Wire = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// The runtime's reactor, but that what comes in is tame.
#[derive(Clone, Debug)]
struct Tame(Tokio);

impl Reactor for Tame {
    type TcpStream = Tamed<Wire>;
    type Sleep = <Tokio as Reactor>::Sleep;

    /// For sockets of other makes, of which a connection has none.
    fn register<H: Read + Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<Self::TcpStream, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let wire = self.0.tcp_connect_addr(address);
        async { Ok(Tamed::of(AsyncTcpStream::Plain(wire.await?), 0)) }
    }
}

/// A wire from which only what is tame comes.
struct Tamed<W> {
    wire: W,
    chunk: Box<[u8]>,
    inflow: Inflow,
}

impl<W> Tamed<W> {
    /// For a client that wants no longer frames than this; 0 is no limit.
    fn of(wire: W, frame_max: u32) -> Self {
        Self { wire, chunk: vec![0; CHUNK].into(), inflow: Inflow::new(frame_max) }
    }
}

impl<W: AsyncRead + Unpin> AsyncRead for Tamed<W> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self { wire, chunk, inflow } = self.get_mut();
        loop {
            let count = inflow.take(out);
            if count > 0 || out.is_empty() {
                return Poll::Ready(Ok(count));
            }
            match ready!(Pin::new(&mut *wire).poll_read(cx, chunk))? {
                0 => return Poll::Ready(Ok(0)),
                count => inflow.push(&chunk[..count]),
            }
        }
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Tamed<W> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().wire).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().wire).poll_write_vectored(cx, pieces)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_close(cx)
    }
}
