"""Microsoft's Python client publishes and reads; settings come on stdin, the result goes to stdout.

Over plain TCP: over TLS it dials port 5671, whatever its settings say.
"""

import json
import sys
import threading

from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient

hub = json.load(sys.stdin)["hub"]
root = hub["policies"][0]
string = (
    f"Endpoint=sb://{hub['plain']}/;SharedAccessKeyName={root['name']};"
    f"SharedAccessKey={root['key']};UseDevelopmentEmulator=true"
)

producer = EventHubProducerClient.from_connection_string(string, eventhub_name=hub["name"])
with producer:
    batch = producer.create_batch(partition_id="2")
    for number in range(50):
        batch.add(EventData(json.dumps({"python": number})))
    producer.send_batch(batch)

consumer = EventHubConsumerClient.from_connection_string(
    string, consumer_group="$Default", eventhub_name=hub["name"]
)
left = {}
for partition in consumer.get_partition_ids():
    known = consumer.get_partition_properties(partition)
    if not known["is_empty"]:
        left[partition] = known["last_enqueued_sequence_number"]
records, published = [], []


def take(context, events):
    for event in events:
        body = json.loads(event.body_as_str())
        records.extend(json.dumps(record) for record in body.get("records", []))
        if "python" in body:
            published.append(body["python"])
        if event.sequence_number == left.get(context.partition_id):
            del left[context.partition_id]
    if not left:
        # From another thread: this one is the client's own.
        threading.Thread(target=consumer.close).start()


consumer.receive_batch(take, starting_position="-1", max_batch_size=300, max_wait_time=1)
json.dump(
    {"records": len(records), "distinct": len(set(records)), "published": sorted(published)},
    sys.stdout,
)
