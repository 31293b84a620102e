import Heading from '@splunk/react-ui/Heading';

export function Configuration() {
    return <Heading level={1}>Configuration</Heading>;
}
