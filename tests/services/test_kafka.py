from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.services.kafka import KafkaBroker


async def send(broker: KafkaBroker, topic: str, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, enable_idempotence=True)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def read(broker: KafkaBroker, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_what_was_acknowledged_outlives_a_killed_broker(kafka: KafkaBroker) -> None:
    await kafka.create_topic("smoke", partitions=1)
    await send(kafka, "smoke", [b"one", b"two"])
    bootstrap = kafka.bootstrap
    kafka.kill()
    assert not kafka.running
    kafka.start()
    assert kafka.bootstrap == bootstrap
    await send(kafka, "smoke", [b"three"])
    assert await read(kafka, "smoke", 3) == [b"one", b"two", b"three"]
    await kafka.delete_topic("smoke")
