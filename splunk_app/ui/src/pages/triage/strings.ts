// The words of the triage page; part of ../../strings.ts.

export const triage = {
    title: 'Triage',
};
