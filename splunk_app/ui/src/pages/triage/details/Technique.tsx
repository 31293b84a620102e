// A technique of MITRE ATT&CK, with its page where the name tells which one that is.
import Link from '@splunk/react-ui/Link';
import { techniqueLink } from '../model/link';
import { Tag } from '../parts/Tags';

export function Technique({ technique }: { technique: string }) {
    const link = techniqueLink(technique);
    if (link === null) return <Tag>{technique}</Tag>;
    return (
        <Link to={link} openInNewContext>
            {technique}
        </Link>
    );
}
