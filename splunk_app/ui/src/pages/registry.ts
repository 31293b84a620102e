// Which page stands behind a view: `data-page` of its root names it.

import type { ComponentType } from 'react';
import { Configuration } from './configuration';
import { Inputs } from './inputs';
import { Triage } from './triage';

export const pages: Record<string, ComponentType> = {
    configuration: Configuration,
    inputs: Inputs,
    triage: Triage,
};
