// What is around every page: theme, font, background, and nothing of the dashboard's own CSS inside.
// Names of any length are broken rather than let a message grow out of sight.

import { useEffect, useState, type ReactNode } from 'react';
import SplunkThemeProvider from '@splunk/themes/SplunkThemeProvider';
import variables from '@splunk/themes/variables';
import styled, { createGlobalStyle } from 'styled-components';
import { themeOfPage, themeOfUser } from '../theme';
import { ErrorBoundary } from './ErrorBoundary';

export const ROOT = 'defender-bridge-root';

// A dashboard draws a panel with padding and borders around its HTML, and gives tags Bootstrap's looks.
const Dashboard = createGlobalStyle`
    .dashboard-body:has(#${ROOT}) { padding: 0; background: transparent; }
    .dashboard-row:has(#${ROOT}) .dashboard-cell { padding: 0; }
    .dashboard-row:has(#${ROOT}) .dashboard-panel { background: transparent; border: 0; margin: 0; padding: 0; box-shadow: none; }
    .dashboard-row:has(#${ROOT}) .panel-body.html { padding: 0; }
    .dashboard-row:has(#${ROOT}) .dashboard-panel > .panel-element-row { border: 0; }
    #${ROOT} *, #${ROOT} *::before, #${ROOT} *::after { box-sizing: border-box; }
    #${ROOT} label { margin: 0; }
    #${ROOT} table { max-width: none; }
    [data-test='message'] * { overflow-wrap: anywhere; }
    #${ROOT} input, #${ROOT} textarea { width: auto; margin: 0; box-shadow: none; }
`;

const Page = styled.main`
    background: ${variables.backgroundColorPage};
    color: ${variables.contentColorDefault};
    font-family: ${variables.sansFontFamily};
    font-size: ${variables.fontSize};
    line-height: ${variables.lineHeight};
    min-height: calc(100vh - 90px);
    padding: 20px 24px 48px;
`;

export function Frame({ children }: { children: ReactNode }) {
    const [theme, setTheme] = useState(themeOfPage);
    useEffect(() => {
        let gone = false;
        void themeOfUser().then((found) => {
            if (found !== undefined && !gone) setTheme(found);
        });
        return () => {
            gone = true;
        };
    }, []);
    return (
        <SplunkThemeProvider {...theme}>
            <Dashboard />
            <Page data-theme={theme.colorScheme}>
                <ErrorBoundary>{children}</ErrorBoundary>
            </Page>
        </SplunkThemeProvider>
    );
}
