import { expect, test } from 'vitest';
import { command } from './check';

test('an account is tested by its name, a stream by its settings', () => {
    expect(command('contoso')).toBe('| defendercheck account="contoso"');
    const hub = { feed: 'event_hub', event_hub: 'insights', consumer_group: '', tables: 'AlertInfo,DeviceEvents' };
    expect(command('contoso', hub)).toBe('| defendercheck account="contoso" feed="event_hub" event_hub="insights" tables="AlertInfo,DeviceEvents"');
    const container = 'https://c.example/checkpoints';
    expect(command('contoso', { ...hub, checkpoint_container: container })).toContain(`checkpoint_container="${container}"`);
});
