//! Requests to a server that only sends back what it gets.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use actix_web::rt::System;
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::anyhow;
use futures_util::future::try_join_all;

/// Requests under way at a time.
const CONNECTIONS: usize = 64;
/// The demo's order of one line, roughly.
const BODY: &str = r#"{"userId":"customer-0001","email":"customer-0001@example.com","items":[{"productId":"item-0001","quantity":5,"price":19.99}]}"#;

/// Asks a server in this process, with the same client as the demo: what is measured is both.
///
/// # Errors
/// When a request is not answered.
pub fn requests_per_second(long: Duration) -> anyhow::Result<f64> {
    System::new().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/", listener.local_addr()?);
        let echo = || web::post().to(async |body: web::Bytes| HttpResponse::Ok().body(body));
        let server = HttpServer::new(move || App::new().route("/", echo()))
            .workers(1)
            .listen(listener)?
            .run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        let connector = awc::Connector::new().limit(CONNECTIONS);
        let client = awc::Client::builder().connector(connector).finish();
        let started = Instant::now();
        let customers = (0..CONNECTIONS).map(async |_| {
            let mut answered = 0_u64;
            while started.elapsed() < long {
                let mut response =
                    client.post(&url).send_body(BODY).await.map_err(|e| anyhow!("{e}"))?;
                response.body().await?;
                answered += 1;
            }
            anyhow::Ok(answered)
        });
        let answered: u64 = try_join_all(customers).await?.into_iter().sum();
        let elapsed = started.elapsed();
        handle.stop(false).await;
        Ok(answered as f64 / elapsed.as_secs_f64())
    })
}
