import Heading from '@splunk/react-ui/Heading';

export function Inputs() {
    return <Heading level={1}>Inputs</Heading>;
}
