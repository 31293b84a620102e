// `npm run stand-in [user] [light|dark]`: a Splunk to look at in a browser, until Ctrl-C.

import { startStandIn } from './index';
import type { Name } from './users';

const [user = 'admin', theme = 'light'] = process.argv.slice(2);
const standIn = await startStandIn({ user: user as Name, theme: theme as 'light', tenant: true, account: 'contoso', port: 8000 });
standIn.addInput('contoso_alerts', { account: 'contoso', feed: 'alerts', index: 'defender' });
await standIn.splunkd.runInputs();
console.log(`Splunk Web for ${user}: ${standIn.page('configuration')}  ${standIn.page('inputs')}  ${standIn.page('triage')}`);
console.log(`tenant: ${JSON.stringify(standIn.tenant?.at)}`);
process.on('SIGINT', () => void standIn.close().then(() => process.exit(0)));
