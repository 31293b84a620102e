// A fault of the page itself: told as one, instead of a blank page.

import { Component, type ReactNode } from 'react';
import Button from '@splunk/react-ui/Button';
import Message from '@splunk/react-ui/Message';
import { errorMessage } from '../splunk/failure';
import { strings } from '../strings';

interface State {
    error?: unknown;
}

export class ErrorBoundary extends Component<{ children: ReactNode }, State> {
    override state: State = {};

    static getDerivedStateFromError(error: unknown): State {
        return { error };
    }

    override render() {
        if (!('error' in this.state)) return this.props.children;
        const words = strings.failure.page;
        return (
            <Message type="error" appearance="fill">
                <Message.Title>{words.title}</Message.Title>
                <p>{words.text}</p>
                <pre style={{ whiteSpace: 'pre-wrap' }}>{errorMessage(this.state.error)}</pre>
                <Button onClick={() => window.location.reload()}>{words.reload}</Button>
            </Message>
        );
    }
}
