// The pieces every page is made of: its head, cards, states without content.

import type { ReactNode } from 'react';
import Heading from '@splunk/react-ui/Heading';
import Message from '@splunk/react-ui/Message';
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import variables from '@splunk/themes/variables';
import styled from 'styled-components';
import { strings } from '../strings';

const Head = styled.header`
    display: flex;
    align-items: flex-start;
    justify-content: space-between;
    gap: 24px;
    margin-bottom: 16px;
`;

const Said = styled.p`
    margin: 4px 0 0;
    max-width: 76ch;
    color: ${variables.contentColorDefault};
`;

export function PageHead({ title, description, children }: { title: string; description?: string; children?: ReactNode }) {
    return (
        <Head>
            <div>
                <Heading level={1} style={{ margin: 0 }}>
                    {title}
                </Heading>
                {description !== undefined && <Said>{description}</Said>}
            </div>
            {children !== undefined && <Row style={{ flex: 'none' }}>{children}</Row>}
        </Head>
    );
}

/** Things beside one another. */
export const Row = styled.div<{ $gap?: number; $wrap?: boolean }>`
    display: flex;
    flex-wrap: ${({ $wrap }) => ($wrap === false ? 'nowrap' : 'wrap')};
    align-items: center;
    gap: ${({ $gap }) => $gap ?? 8}px;
    min-width: 0;
`;

export const Card = styled.section`
    background: ${variables.backgroundColorSection};
    border: 1px solid ${variables.neutral100};
    border-radius: 6px;
    padding: 20px;
    margin-top: 16px;
`;

/** Above a table: what it is about, and what can be done with all of it. */
export const Bar = styled.div`
    display: flex;
    align-items: center;
    justify-content: space-between;
    gap: 24px;
    margin-bottom: 12px;
    & > :not(p) {
        flex: none;
    }
    & > p {
        margin: 0;
        max-width: 76ch;
        color: ${variables.contentColorDefault};
    }
`;

export const Muted = styled.span`
    color: ${variables.contentColorDefault};
`;

/** A name that stays on its line; a very long one is cut, and whole where it is pointed at. */
export const OneLine = styled.div`
    white-space: nowrap;
    max-width: 100%;
    overflow: hidden;
    text-overflow: ellipsis;
`;

/** Space between messages and what follows them. */
export const MessageArea = styled.div`
    margin-bottom: 16px;
`;

const Nothing = styled.section`
    display: flex;
    flex-direction: column;
    align-items: center;
    text-align: center;
    padding: 48px 24px;
    gap: 12px;
    h2,
    p {
        text-align: center;
        margin: 0;
    }
    & > p {
        max-width: 64ch;
        color: ${variables.contentColorDefault};
    }
`;

/** Where a table would stand, if there were anything in it. */
export function Empty({ title, text, children }: { title: string; text: string; children?: ReactNode }) {
    return (
        <Nothing>
            <Heading level={2}>{title}</Heading>
            <p>{text}</p>
            {children}
        </Nothing>
    );
}

export function Loading() {
    return (
        <Nothing aria-busy="true" aria-live="polite">
            <WaitSpinner size="medium" screenReaderText={strings.loading} />
        </Nothing>
    );
}

/** For those who may look only. */
export function LookOnly({ why }: { why: string }) {
    return (
        <MessageArea>
            <Message type="info" appearance="fill">
                <Message.Title>{strings.rights.title}</Message.Title>
                {why}
            </Message>
        </MessageArea>
    );
}
