#!/usr/bin/env bash
# rhea 3.0.5 (npm) writes the keys of a footer as strings (0xa1). AMQP 1.0 part 3.2.10 makes a footer annotations, whose keys
# are symbols or ulongs; rhea itself writes those of the other two annotation sections as
# symbols (0xa3). Strict readers refuse such a message as a whole.
# Seen 2026-11-30: footer "005378d1...a101660 52 01": key coded a1; delivery and message annotations: a3.
# Fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund rhea@3.0.5 >/dev/null
cat > look.js <<'JS'
const { message } = require('rhea');
const body = message.data_section(Buffer.from('x'));
// The code of the first key behind a map32: 9 bytes after the section's own.
const code = (section, name) => {
  const bytes = message.encode({ [name]: { key: 1 }, body });
  const at = bytes.indexOf(Buffer.from([0x00, 0x53, section, 0xd1]));
  return bytes[at + 12].toString(16);
};
const seen = { delivery_annotations: code(0x71, 'delivery_annotations'), message_annotations: code(0x72, 'message_annotations'), footer: code(0x78, 'footer') };
console.log('rhea', require('rhea/package.json').version, JSON.stringify(seen), '(a3 = symbol, a1 = string)');
const expected = { delivery_annotations: 'a3', message_annotations: 'a3', footer: 'a1' };
if (JSON.stringify(seen) !== JSON.stringify(expected)) { console.log('CHANGED, expected', JSON.stringify(expected)); process.exit(1); }
console.log('as described: a footer has string keys');
JS
node look.js
