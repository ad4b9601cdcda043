//! What the RabbitMQ bus does beyond the conformance suite: when its broker is in trouble.

use skald::bus::rabbitmq::{Address, RabbitBus};

/// Connects from a thread that may not block.
pub fn connect_here(url: &str) -> RabbitBus {
    let address = Address::parse(url).unwrap();
    let connect = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(RabbitBus::connect(vec![address], "skald test")).unwrap()
    };
    std::thread::scope(|scope| scope.spawn(connect).join().unwrap())
}
