//! HTTP/1.1 or h2, as the client prefers.

use crate::sandbox::accept::{Protocol, Stream};
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;

impl Protocol for Router {
    async fn converse(self, stream: impl Stream + 'static) {
        let service = TowerToHyperService::new(self);
        let server = Builder::new(TokioExecutor::new());
        // A connection that breaks off is the client's affair.
        let _ended = server.serve_connection(TokioIo::new(stream), service).await;
    }
}
