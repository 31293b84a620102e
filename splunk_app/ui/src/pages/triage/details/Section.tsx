// A part of the details under a heading of its own, and text as it was written.
import type { ReactNode } from 'react';
import Heading from '@splunk/react-ui/Heading';
import variables from '@splunk/themes/variables';
import styled from 'styled-components';

export function Section({ title, children }: { title?: string; children: ReactNode }) {
    return (
        <section style={{ marginTop: 18 }}>
            {title !== undefined && (
                <Heading level={3} style={{ margin: '0 0 6px' }}>
                    {title}
                </Heading>
            )}
            {children}
        </section>
    );
}

export const Prose = styled.p`
    color: ${variables.contentColorActive};
    margin: 0;
    overflow-wrap: anywhere;
    white-space: pre-wrap;
`;
