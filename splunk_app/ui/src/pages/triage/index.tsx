import Heading from '@splunk/react-ui/Heading';

export function Triage() {
    return <Heading level={1}>Triage</Heading>;
}
