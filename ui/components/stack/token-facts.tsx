// All that may be known of the token that stands: everything but the token itself.
import type { Grant, Token } from '../../../server/http/contract/custody.ts'
import type { Installation } from '../../../server/http/contract/stack.ts'
import { Id } from '../basics.tsx'
import { Table } from '../list.tsx'
import { checkStates, grantStates, State, tokenLook } from '../state.tsx'
import { Day, Time, Until, useNow } from '../time.tsx'
import { useRecipients } from './stack-view.tsx'
import { nextWords } from './token-words.ts'

export function CurrentToken({ token, grant }: { token: Token; grant: Grant | null }) {
  const now = useNow()
  const recipients = useRecipients()
  const told = recipients.data && !recipients.data.next ? recipients.data.items.length : null
  const fine = token.verification.every(row => row.result === 'granted' || row.result === 'likely')
  return (
    <div className="panel">
      <div className="panel-body">
        <dl className="facts">
          <dt>State</dt>
          <dd>
            <State of={tokenLook(token)} />
            {token.error ? <p className="meta">{token.error}</p> : null}
          </dd>
          <dt>Name</dt>
          <dd>{token.name}</dd>
          {token.fingerprint ? (
            <>
              <dt>Fingerprint</dt>
              <dd>
                <Id value={token.fingerprint} />
              </dd>
            </>
          ) : null}
          <dt>Came</dt>
          <dd>
            {token.origin === 'minted' ? 'minted by an authorization' : 'pasted'}, <Time at={token.createdAt} />
          </dd>
          <dt>Branches</dt>
          <dd>{token.branches.length > 0 ? token.branches.join(', ') : 'not stated'}</dd>
          <dt>Expires</dt>
          <dd>
            {token.expiresAt === null ? (
              token.origin === 'pasted' ? (
                'not known'
              ) : (
                'never'
              )
            ) : (
              <>
                <Until at={token.expiresAt} />, <Day at={token.expiresAt} />
              </>
            )}
          </dd>
          <dt>Last checked</dt>
          <dd>
            <Time at={token.checkedAt ?? token.verifiedAt} none="not yet" />
          </dd>
          {token.status === 'dead' ? null : (
            <>
              <dt>What comes next</dt>
              <dd>{nextWords(token, told, now)}</dd>
            </>
          )}
          {grant ? (
            <>
              <dt>Last authorization</dt>
              <dd>
                <LastGrant grant={grant} />
              </dd>
            </>
          ) : null}
        </dl>
        {token.verification.length > 0 ? (
          <details open={!fine}>
            <summary className="muted">
              What was verified ({token.verification.length}), <Time at={token.verifiedAt} none="not yet" />
            </summary>
            <Table
              label="What was verified"
              rows={token.verification}
              rowKey={row => row.check}
              columns={[
                { title: 'Result', render: row => <State of={checkStates[row.result]} /> },
                { title: 'Check', render: row => row.check },
                { title: 'How it is known', render: row => row.detail }
              ]}
            />
          </details>
        ) : null}
      </div>
    </div>
  )
}

const purposes: Record<Grant['purpose'], string> = {
  mint: 'to connect the stack',
  rotate: 'to rotate the token',
  delete: 'to give the token up',
  uninstall: 'to uninstall'
}

function LastGrant({ grant }: { grant: Grant }) {
  return (
    <>
      <span className="row">
        <State of={grantStates[grant.status]} />
        <span>
          {purposes[grant.purpose]}, <Time at={grant.finishedAt ?? grant.createdAt} />
        </span>
      </span>
      {grant.error ? <p className="meta">{grant.error}</p> : null}
    </>
  )
}

/** With a token that no longer works nobody can be proven an admin, so its details stay closed; replacing it is still possible. */
export function TokenUnproven({ token }: { token: NonNullable<Installation['token']> }) {
  return (
    <div className="panel">
      <div className="panel-body">
        <dl className="facts">
          <dt>State</dt>
          <dd>
            <State of={tokenLook(token)} />
          </dd>
          {token.fingerprint ? (
            <>
              <dt>Fingerprint</dt>
              <dd>
                <Id value={token.fingerprint} />
              </dd>
            </>
          ) : null}
          {token.expiresAt === null ? null : (
            <>
              <dt>Expires</dt>
              <dd>
                <Until at={token.expiresAt} />, <Day at={token.expiresAt} />
              </dd>
            </>
          )}
        </dl>
        <p className="muted">A new token lets the work of this stack go on. You prove that you are Owner or Admin by authorising it.</p>
      </div>
    </div>
  )
}
