//! gRPC calls that are polled, with unchanged generated code.
//!
//! ```text
//! cargo run -p tonic-greeter
//! ```
//!
//! The server stacks [`AsyncJobLayer`] around its services, and the client [`PollLayer`] around
//! its channel. A call becomes a job only if its client asks for that, by [`PreferAsync`] in the
//! extensions of the request, because a gRPC client without the layer does not understand pending
//! answers. All other calls are streamed as usual.

mod service;

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{net::TcpListener, sync::oneshot};
use tokio_stream::{StreamExt, wrappers::TcpListenerStream};
use tonic::{
    Request,
    transport::{Channel, Server},
};
use tower::ServiceBuilder;
use tower_async_job::{AsyncJobLayer, HalfElapsed};
use tower_poll::{PollLayer, PreferAsync};

use self::{
    greeter::{GreetRequest, greeter_client::GreeterClient, greeter_server::GreeterServer},
    service::Greeter,
};

/// The generated code.
#[allow(missing_docs, unreachable_pub)]
mod greeter {
    tonic::include_proto!("greeter");
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);

    let jobs = AsyncJobLayer::builder()
        // The work takes a fraction of a second. The default delay is a second.
        .estimator(HalfElapsed::between(
            Duration::from_millis(100),
            Duration::from_secs(10),
        ))
        .build()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server::builder()
        .layer(jobs.clone())
        .add_service(GreeterServer::new(Greeter))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async move {
            // A real server waits for a signal here. It listens until all jobs are delivered.
            let _ = stopped.await;
            jobs.shutdown(Duration::from_secs(10)).await;
        });
    let server = tokio::spawn(server);

    let requests = Arc::new(AtomicU32::new(0));
    let channel = ServiceBuilder::new()
        .layer(PollLayer::new())
        .map_request({
            let requests = requests.clone();
            move |request| {
                requests.fetch_add(1, Ordering::Relaxed);
                request
            }
        })
        .service(Channel::from_shared(url)?.connect().await?);
    let mut client = GreeterClient::new(channel);
    // The first request of a call submits it, and all others are polls.
    let polls = || requests.swap(0, Ordering::Relaxed).saturating_sub(1);

    let greeting = client.greet(patient("Ada")).await?.into_inner();
    println!("unary: {:?}, after {} polls", greeting.text, polls());

    let mut greetings = client.greet_in_turn(named("Grace")).await?.into_inner();
    while let Some(greeting) = greetings.next().await {
        println!("server streaming: {:?}", greeting?.text);
    }
    println!("server streaming: after {} polls", polls());

    let names = tokio_stream::iter(["Alan", "Edsger"].map(named_message));
    let mut greetings = client.greet_all(names).await?.into_inner();
    while let Some(greeting) = greetings.next().await {
        println!("bidirectional: {:?}", greeting?.text);
    }
    println!("bidirectional: after {} polls", polls());

    let Err(status) = client.snub(patient("Bertrand")).await else {
        anyhow::bail!("nobody was snubbed");
    };
    println!(
        "failing: {:?}, {:?}, after {} polls",
        status.code(),
        status.message(),
        polls()
    );
    drop((client, stop));
    server.await??;
    Ok(())
}

fn named_message(name: &str) -> GreetRequest {
    GreetRequest {
        name: name.to_owned(),
    }
}

fn named(name: &str) -> Request<GreetRequest> {
    Request::new(named_message(name))
}

/// Creates the request of a call that may become a job.
fn patient(name: &str) -> Request<GreetRequest> {
    let mut request = named(name);
    request.extensions_mut().insert(PreferAsync);
    request
}
