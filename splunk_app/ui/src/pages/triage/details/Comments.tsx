// What people and Defender wrote beside the object.
import { Row } from '../../../parts/Page';
import type { Comment } from '../model/item';
import { Small, Strong } from '../parts/styles';
import { When } from '../../../parts/When';
import { triage as strings } from '../strings';
import { Prose, Section } from './Section';

export function Comments({ comments, now }: { comments: readonly Comment[]; now: number }) {
    return (
        <Section title={strings.drawer.comments}>
            {comments.map((comment, place) => (
                <div key={place} style={{ marginBottom: 8 }}>
                    <Row>
                        <Strong>{comment.by ?? strings.unset}</Strong>
                        <Small>
                            <When at={comment.at} now={now} />
                        </Small>
                    </Row>
                    <Prose>{comment.text}</Prose>
                </div>
            ))}
        </Section>
    );
}
