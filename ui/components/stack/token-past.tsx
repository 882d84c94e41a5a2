// What other tokens there were, and above all which may still stand in Contentstack although nobody here holds them.
import type { Grant, Token } from '../../../server/http/contract/custody.ts'
import { counted, Id, Notice } from '../basics.tsx'
import { Table } from '../list.tsx'
import { State, tokenStates } from '../state.tsx'
import { Time } from '../time.tsx'
import { NotGivenBack } from './authorise.tsx'

export function TokenPast({ history, grant }: { history: Token[]; grant: Grant | null }) {
  const orphans = history.filter(({ status }) => status === 'orphaned')
  const earlier = history.filter(({ status }) => status !== 'orphaned')
  return (
    <>
      {grant?.status === 'revoke_refused' && (grant.validUntil === null || grant.validUntil > Date.now()) ? (
        <NotGivenBack grant={grant} />
      ) : null}
      <Orphans tokens={orphans} />
      {earlier.length > 0 ? (
        <details>
          <summary className="muted">Earlier tokens ({earlier.length})</summary>
          <Table
            label="Earlier tokens"
            rows={earlier}
            rowKey={token => token.id}
            columns={[
              { title: 'State', render: token => <State of={tokenStates[token.status]} /> },
              { title: 'Name', render: token => token.name },
              { title: 'Fingerprint', render: token => (token.fingerprint ? <Id value={token.fingerprint} /> : '–') },
              { title: 'Note', render: token => token.error ?? '' },
              { title: 'Came', render: token => <Time at={token.createdAt} /> }
            ]}
          />
        </details>
      ) : null}
    </>
  )
}

function Orphans({ tokens }: { tokens: Token[] }) {
  if (tokens.length === 0) return null
  return (
    <Notice
      tone="wait"
      title={`${counted(tokens.length, 'token')} may still stand in Contentstack, and nobody here holds ${tokens.length === 1 ? 'it' : 'them'}.`}
    >
      <ul className="plain-list">
        {tokens.map(token => (
          <li key={token.id}>
            <strong>{token.name}</strong>
            <span className="meta">
              {' '}
              made <Time at={token.createdAt} />
            </span>
          </li>
        ))}
      </ul>
      <p>
        The next authorization deletes {tokens.length === 1 ? 'it' : 'them'}; so can a person, in Contentstack under Settings, Tokens,
        Management Tokens.
      </p>
    </Notice>
  )
}
