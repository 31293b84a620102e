// The app itself, as Splunk lists it.

import { APP } from './web';
import { call } from './client';

/** From now on Splunk takes the app for set up. */
export async function markConfigured(): Promise<void> {
    await call('POST', `servicesNS/nobody/system/apps/local/${APP}`, { form: { configured: 'true' } });
}
