// The settings that hold for all accounts and inputs, a tab each: what is typed stays until it is saved.

import { useEffect, useState, type ReactNode } from 'react';
import Button from '@splunk/react-ui/Button';
import Link from '@splunk/react-ui/Link';
import Message from '@splunk/react-ui/Message';
import { Failed } from '../../parts/Failed';
import { ChoiceField, SwitchField, TextField } from '../../parts/Field';
import { Card, Loading, Muted, MessageArea, Row } from '../../parts/Page';
import { truth } from '../../splunk/client';
import * as conf from '../../splunk/conf';
import { searchPage } from '../../splunk/web';
import { strings } from '../../strings';
import type { Loaded } from '../../parts/useLoaded';
import { HalfSaved, saveProxy, wrongIndex, wrongLimit, wrongProxy, type ProxyDraft } from './proxy';

const words = strings.settings;
export const CONF = 'defender_bridge_settings';

export type AllSettings = Record<string, conf.Settings>;

interface Tab {
    loaded: Loaded<AllSettings>;
    disabled: boolean;
    /** What was typed and not saved yet, by stanza. */
    typed: Record<string, unknown>;
}

/** One stanza in a form of its own: the draft is what is saved, until it is touched. */
function useStanza<D>({ loaded, typed }: Tab, name: string, read: (all: AllSettings) => D, write: (draft: D) => Promise<void>, kept: (draft: D) => D = (draft) => draft) {
    const [draft, setDraft] = useState(() => typed[name] as D | undefined);
    const [state, setState] = useState<{ saving?: boolean; saved?: boolean; error?: unknown }>({});
    useEffect(() => {
        if (loaded.value !== undefined && draft === undefined) setDraft(read(loaded.value));
    }, [loaded.value, draft, read]);
    return {
        draft,
        ...state,
        change(part: Partial<D>) {
            setState({});
            if (draft === undefined) return;
            const next = { ...draft, ...part };
            typed[name] = next;
            setDraft(next);
        },
        async save() {
            if (draft === undefined) return;
            setState({ saving: true });
            try {
                await write(draft);
                delete typed[name];
                setDraft(kept(draft));
                setState({ saved: true });
                loaded.again();
            } catch (error) {
                setState({ error });
            }
        },
    };
}

interface FormProps {
    intro: string;
    tab: Tab;
    stanza: { saving?: boolean; saved?: boolean; error?: unknown; save: () => Promise<void> };
    ready: boolean;
    well: boolean;
    beside?: ReactNode;
    children: ReactNode;
}

function Form({ intro, tab, stanza, ready, well, beside, children }: FormProps) {
    if (!ready) {
        return tab.loaded.error === undefined ? <Loading /> : <Failed title={words.failed} error={tab.loaded.error} again={tab.loaded.again} />;
    }
    return (
        <Card style={{ maxWidth: 760 }}>
            <form
                noValidate
                onSubmit={(event) => {
                    event.preventDefault();
                    if (well) void stanza.save();
                }}
            >
                <p style={{ marginTop: 0 }}>
                    <Muted>{intro}</Muted>
                </p>
                {children}
                <div aria-live="polite">
                    {stanza.saved === true && (
                        <MessageArea>
                            <Message type="success">{words.saved}</Message>
                        </MessageArea>
                    )}
                    {stanza.error !== undefined && (
                        <MessageArea>
                            <Failed title={stanza.error instanceof HalfSaved ? words.proxy.half : words.notSaved} error={stanza.error} />
                        </MessageArea>
                    )}
                </div>
                <Row>
                    <Button appearance="primary" type="submit" disabled={tab.disabled || stanza.saving === true} label={stanza.saving === true ? strings.action.saving : strings.action.save} />
                    {beside}
                </Row>
            </form>
        </Card>
    );
}

const readProxy = (all: AllSettings): ProxyDraft => ({ url: all.proxy?.url ?? '', username: all.proxy?.username ?? '', no_proxy: all.proxy?.no_proxy ?? '', password: '' });

export function Proxy(tab: Tab) {
    const stanza = useStanza(tab, 'proxy', readProxy, (draft) => saveProxy(draft, tab.loaded.value?.proxy?.username ?? ''), (draft) => ({ ...draft, password: '' }));

    const { draft, change } = stanza;
    const [tried, setTried] = useState(false);
    const wrong = draft === undefined ? {} : wrongProxy(draft);
    const shown = tried ? wrong : {};
    const field = (key: keyof ProxyDraft) => ({ value: draft?.[key] ?? '', error: shown[key], disabled: tab.disabled || stanza.saving, onChange: (value: string) => change({ [key]: value }) });
    const text = words.proxy;
    // The store is never read: a password is there when a user name was saved.
    const stored = (tab.loaded.value?.proxy?.username ?? '') !== '';
    return (
        <div onSubmitCapture={() => setTried(true)}>
            <Form intro={text.intro} tab={tab} stanza={stanza} ready={draft !== undefined} well={Object.keys(wrong).length === 0}>
                <TextField label={text.url} help={text.urlHelp} placeholder="http://proxy.example.com:8080" {...field('url')} />
                <TextField label={text.username} help={text.usernameHelp} {...field('username')} />
                <TextField label={text.password} help={`${text.passwordHelp} ${text.passwordKept} ${text.passwordRemoved}`} password placeholder={stored ? strings.accounts.form.kept : undefined} {...field('password')} />
                <TextField label={text.noProxy} help={text.noProxyHelp} {...field('no_proxy')} />
            </Form>
        </div>
    );
}

const readLevel = (all: AllSettings) => ({ level: (all.logging?.level ?? 'info').toLowerCase() });

export function Logging(tab: Tab) {
    const stanza = useStanza(tab, 'logging', readLevel, (draft) => conf.edit(CONF, 'logging', draft));
    const text = words.logging;
    return (
        <Form
            intro={text.intro}
            tab={tab}
            stanza={stanza}
            ready={stanza.draft !== undefined}
            well
            beside={
                <Link to={searchPage('index=_internal sourcetype="defender_bridge:log"')} openInNewContext>
                    {text.look}
                </Link>
            }
        >
            <ChoiceField
                label={text.level}
                value={stanza.draft?.level ?? ''}
                disabled={tab.disabled || stanza.saving}
                onChange={(level) => stanza.change({ level })}
                options={Object.entries(text.levels).map(([value, label]) => ({ value, label }))}
            />
        </Form>
    );
}

const readLimit = (all: AllSettings) => ({ max_targets: all.triage?.max_targets ?? '', index: all.triage?.index ?? '' });

export function Limits(tab: Tab) {
    const stanza = useStanza(tab, 'triage', readLimit, (draft) => conf.edit(CONF, 'triage', { max_targets: draft.max_targets.trim(), index: draft.index.trim() }));
    const text = words.limits;
    const wrong = wrongLimit(stanza.draft?.max_targets ?? '');
    const wrongPlace = wrongIndex(stanza.draft?.index ?? '');
    return (
        <Form intro={text.intro} tab={tab} stanza={stanza} ready={stanza.draft !== undefined} well={wrong === undefined && wrongPlace === undefined}>
            <TextField
                label={text.max}
                help={text.maxHelp}
                value={stanza.draft?.max_targets ?? ''}
                error={wrong}
                disabled={tab.disabled || stanza.saving}
                onChange={(max_targets) => stanza.change({ max_targets })}
            />
            <TextField
                label={text.index}
                help={text.indexHelp}
                value={stanza.draft?.index ?? ''}
                error={wrongPlace}
                disabled={tab.disabled || stanza.saving}
                onChange={(index) => stanza.change({ index })}
            />
        </Form>
    );
}

const readVerify = (all: AllSettings) => ({ verify_tls: truth(all.splunkd?.verify_tls) });

export function OwnSplunkd(tab: Tab) {
    const stanza = useStanza(tab, 'splunkd', readVerify, (draft) => conf.edit(CONF, 'splunkd', { verify_tls: draft.verify_tls ? 'true' : 'false' }));
    const text = words.splunkd;
    return (
        <Form intro={text.intro} tab={tab} stanza={stanza} ready={stanza.draft !== undefined} well>
            <SwitchField
                label={text.verify}
                help={text.verifyHelp}
                on={stanza.draft?.verify_tls ?? false}
                disabled={tab.disabled || stanza.saving}
                onChange={(verify_tls) => stanza.change({ verify_tls })}
            />
        </Form>
    );
}
