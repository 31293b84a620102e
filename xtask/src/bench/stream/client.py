"""Microsoft's Python client reads an event hub, and writes its records as events.

Arguments: connection string, file of the CA, how many records there are. What was read
goes to stderr, as JSON.
"""

import json
import sys
import threading
from datetime import datetime
from xml.sax.saxutils import escape

from azure.eventhub import EventHubConsumerClient

string, ca_file, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = EventHubConsumerClient.from_connection_string(
    string, consumer_group="$Default", connection_verify=ca_file
)
out = sys.stdout.buffer
read = {"messages": 0, "bytes": 0, "records": 0}


def take(context, messages):
    for message in messages:
        body = b"".join(message.body)
        records = json.loads(body)["records"]
        for record in records:
            stamp = record["properties"]["Timestamp"]
            time = datetime.fromisoformat(stamp[:23] + "+00:00").timestamp()
            data = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
            out.write(
                '<event stanza="defender_bridge://bench" unbroken="1">\n'
                f"<time>{time:.3f}</time>\n"
                "<source>defender_bridge:event_hub:bench</source>\n"
                "<sourcetype>ms:defender:eventhub</sourcetype>\n"
                f"<data>{escape(data)}</data>\n<done/>\n</event>\n".encode()
            )
        read["messages"] += 1
        read["bytes"] += len(body)
        read["records"] += len(records)
    out.flush()
    if read["records"] >= wanted:
        # From another thread: this one is the client's own.
        threading.Thread(target=client.close).start()


client.receive_batch(take, starting_position="-1", prefetch=300, max_batch_size=300)
json.dump(read, sys.stderr)
