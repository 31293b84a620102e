// The page Configuration: who may do what decides what it shows; the tab stands in the URL.

import { useRef, useState } from 'react';
import TabLayout from '@splunk/react-ui/TabLayout';
import { Failed } from '../../parts/Failed';
import { Loading, LookOnly, PageHead } from '../../parts/Page';
import { useLoaded } from '../../parts/useLoaded';
import * as conf from '../../splunk/conf';
import { current, setsUpAccounts } from '../../splunk/session';
import { strings } from '../../strings';
import { Accounts } from './Accounts';
import { Report } from './Report';
import { CONF, Limits, Logging, OwnSplunkd, Proxy, type AllSettings } from './Settings';

const words = strings.configuration;
type TabName = keyof typeof words.tabs;
const TABS = Object.keys(words.tabs) as TabName[];

function tabOfUrl(): TabName {
    const named = new URLSearchParams(window.location.search).get('tab');
    return TABS.find((tab) => tab === named) ?? 'accounts';
}

export function Configuration() {
    const session = useLoaded(current);
    const settings = useLoaded(async (signal) => {
        const stanzas = await conf.list(CONF, signal);
        return Object.fromEntries(stanzas.map(({ name, settings: of }) => [name, of])) as AllSettings;
    });
    const [tab, setTab] = useState(tabOfUrl);
    // A tab that is left keeps what was typed in it.
    const typed = useRef<Record<string, unknown>>({});
    const choose = (next: TabName) => {
        setTab(next);
        const url = new URL(window.location.href);
        url.searchParams.set('tab', next);
        window.history.replaceState(null, '', url);
    };
    if (session.value === undefined) {
        return (
            <>
                <PageHead title={words.title} description={words.description} />
                {session.error === undefined ? <Loading /> : <Failed error={session.error} again={session.again} />}
            </>
        );
    }
    const mayEdit = setsUpAccounts(session.value);
    const form = { loaded: settings, disabled: !mayEdit, typed: typed.current };
    const panel = (name: TabName, inside: JSX.Element) => (
        <TabLayout.Panel key={name} panelId={name} label={words.tabs[name]}>
            <div style={{ paddingTop: 16 }}>
                {!mayEdit && name !== 'accounts' && name !== 'report' && <LookOnly why={strings.rights.secrets} />}
                {inside}
            </div>
        </TabLayout.Panel>
    );
    return (
        <>
            <PageHead title={words.title} description={words.description} />
            <TabLayout inset={false} activePanelId={tab} onChange={(_, { activePanelId }) => choose(TABS.find((one) => one === activePanelId) ?? 'accounts')}>
                {panel('accounts', <Accounts session={session.value} />)}
                {panel('proxy', <Proxy {...form} />)}
                {panel('logging', <Logging {...form} />)}
                {panel('limits', <Limits {...form} />)}
                {panel('splunkd', <OwnSplunkd {...form} />)}
                {panel('report', <Report session={session.value} />)}
            </TabLayout>
        </>
    );
}
