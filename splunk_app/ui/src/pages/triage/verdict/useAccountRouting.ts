// Through which account each object is written: the only one that fits its tenant, or the one that is chosen.
import { useMemo, useState } from 'react';
import type { Accounts } from '../model/account';
import type { Item } from '../model/item';

export interface AccountRouting {
    /** The account of an object; empty while it must be chosen first. */
    accountOf: (item: Item) => string;
    /** Tenants that several accounts fit. */
    toChoose: { tenant: string; choices: readonly string[]; chosen: string }[];
    choose: (tenant: string, account: string) => void;
    /** Whether something cannot be written through any account. */
    nowhere: boolean;
    unchosen: boolean;
    /** Accounts that would refuse every write. */
    readOnly: string[];
}

export function useAccountRouting(items: readonly Item[], accounts: Accounts): AccountRouting {
    const [chosen, setChosen] = useState<Record<string, string>>({});
    const choicesByTenant = useMemo(
        () => new Map(items.map((item) => [item.tenant ?? '', accounts.of(item.tenant)])),
        [items, accounts],
    );
    const accountOf = (item: Item): string => {
        const choices = choicesByTenant.get(item.tenant ?? '') ?? [];
        return choices.length === 1 ? (choices[0] ?? '') : (chosen[item.tenant ?? ''] ?? '');
    };
    return {
        accountOf,
        toChoose: [...choicesByTenant]
            .filter(([, choices]) => choices.length > 1)
            .map(([tenant, choices]) => ({ tenant, choices, chosen: chosen[tenant] ?? '' })),
        choose: (tenant, account) => setChosen((before) => ({ ...before, [tenant]: account })),
        nowhere: [...choicesByTenant.values()].some((choices) => choices.length === 0),
        unchosen: items.some((item) => accountOf(item) === ''),
        readOnly: [...new Set(items.map(accountOf))].filter((name) => accounts.named(name)?.readOnly),
    };
}
