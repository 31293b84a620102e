// Names and values, one below the other, to be read and copied.
import type { ReactNode } from 'react';
import variables from '@splunk/themes/variables';
import styled from 'styled-components';

const Grid = styled.dl`
    display: grid;
    gap: 2px 12px;
    grid-template-columns: minmax(96px, max-content) minmax(0, 1fr);
    margin: 4px 0 0;
    dt {
        color: ${variables.contentColorDefault};
        font-size: ${variables.fontSizeSmall};
        line-height: 20px;
    }
    dd {
        color: ${variables.contentColorActive};
        margin: 0;
        overflow-wrap: anywhere;
        white-space: pre-wrap;
    }
`;

/** What has no value is left out. */
export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
    const said = facts.filter(([, value]) => value !== null && value !== undefined && value !== '');
    return (
        <Grid>
            {said.map(([name, value]) => (
                <div key={name} style={{ display: 'contents' }}>
                    <dt>{name}</dt>
                    <dd>{value}</dd>
                </div>
            ))}
        </Grid>
    );
}
