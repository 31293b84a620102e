// Every English word the pages show, in one place, so that another language is another file like this one.
// Sentences with values in them are functions: word order differs between languages.

import { triage } from './pages/triage/strings';

export const strings = {
    app: 'Defender Bridge',

    failure: {
        network: 'Splunk does not answer. Check the connection, then try again; nothing typed here is lost.',
        session: 'Your Splunk session has ended. Sign in again in another tab, then try again here.',
        forbidden: 'Splunk does not let you do this.',
        missing: 'It is not there any more; somebody may have deleted it.',
        exists: 'There is one of this name already.',
        refused: 'Splunk refused it',
        broken: 'Splunk could not do it. Try again; if it stays so, look into splunkd.log.',
        search: 'The search ended without a result and without a reason. Look into its search.log.',
        splunkSays: (said: string) => `Splunk says: ${said}`,
        tryAgain: 'Try again',
        page: {
            title: 'This page has stopped',
            text: 'An error in the page itself, not in your data. Reload it; if it happens again, report what stands below.',
            reload: 'Reload the page',
        },
    },

    loading: 'Loading',

    triage,
};
