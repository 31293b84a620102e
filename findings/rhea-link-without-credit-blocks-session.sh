#!/usr/bin/env bash
# rhea 3.0.5 (npm): a message that waits for credit on one link holds up every other link of its session. AMQP 1.0 part 2.6.7
# gives each link a credit of its own; a session's window is the only thing links share (2.5.6).
# Seen 2026-11-30: two senders on one session, the first without credit, the second with 10: 0 of 5 messages of the second
# arrive within a second; as soon as the first gets credit, all 5 do. Cause: lib/session.js, Outgoing.process, breaks its loop
# at the first delivery whose link has no credit. Who sends only when `sendable` says so is not concerned.
# Fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund rhea@3.0.5 >/dev/null
cat > look.js <<'JS'
const rhea = require('rhea');
const server = rhea.create_container(), client = rhea.create_container();
let first, came = 0, freed = 0, isFree = false;
server.on('receiver_open', (x) => { x.receiver.set_credit_window(0); if (x.receiver.target.address === 'second') x.receiver.add_credit(10); else first = x.receiver; });
server.on('message', (x) => { if (x.receiver.target.address === 'second') { isFree ? freed++ : came++; } });
const listener = server.listen({ port: 0, host: '127.0.0.1', receiver_options: { credit_window: 0 } });
listener.on('listening', () => {
  const connection = client.connect({ port: listener.address().port, host: '127.0.0.1', reconnect: false });
  const session = connection.create_session(); session.begin();
  const one = session.open_sender('first'), two = session.open_sender('second');
  two.once('sendable', () => {
    one.send({ body: 'waits for credit' });
    for (let i = 0; i < 5; i++) two.send({ body: i });
    setTimeout(() => { isFree = true; first.add_credit(1); }, 1000);
    setTimeout(() => {
      console.log('rhea', require('rhea/package.json').version, `before: ${came} of 5, once the other link has credit: ${freed} of 5`);
      const same = came === 0 && freed === 5;
      console.log(same ? 'as described: one link holds up the other' : 'CHANGED');
      process.exit(same ? 0 : 1);
    }, 2000);
  });
});
JS
node look.js
