// A part of a form under a heading of its own.

import type { ReactNode } from 'react';
import Heading from '@splunk/react-ui/Heading';

export function Section({ title, children }: { title: string; children: ReactNode }) {
    return (
        <section style={{ marginBottom: 24 }}>
            <Heading level={3} style={{ margin: '0 0 12px' }}>
                {title}
            </Heading>
            {children}
        </section>
    );
}
