// Styles of text that look the same wherever they stand on this page.
import variables from '@splunk/themes/variables';
import styled from 'styled-components';

/** Layers of the toolkit stand outside the page, so they bring font and colour along. */
export const Sheet = styled.div`
    color: ${variables.contentColorDefault};
    font-family: ${variables.sansFontFamily};
    font-size: ${variables.fontSize};
    line-height: ${variables.lineHeight};
    *,
    *::before,
    *::after {
        box-sizing: border-box;
    }
`;

export const Strong = styled.span`
    color: ${variables.contentColorActive};
    font-weight: ${variables.fontWeightSemiBold};
`;

export const Small = styled.span`
    color: ${variables.contentColorDefault};
    font-size: ${variables.fontSizeSmall};
`;

export const Mono = styled.span`
    font-family: ${variables.monoFontFamily};
    font-size: ${variables.fontSizeSmall};
    overflow-wrap: anywhere;
    white-space: pre-wrap;
`;

/** Text of any length that leaves room for what stands beside it. */
export const Clipped = styled.span`
    display: block;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
`;

/** A table's cell lays its children out side by side; this is the one child. */
export const Whole = styled.div`
    min-width: 0;
    overflow-wrap: anywhere;
    width: 100%;
`;
