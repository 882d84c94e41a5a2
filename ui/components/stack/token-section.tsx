// The stack's token in custody: which state it is in, what was verified about it, and the two ways to bring one in.
// The token itself is never here; its fingerprint is.
import { useState } from 'react'
import type { Custody, Installation, Token } from '../../../server/http/contract/stack.ts'
import { Button, Empty, Id, Notice, Problem, Waiting } from '../basics.tsx'
import { checkStates, State, tokenLook, tokenStates } from '../state.tsx'
import { Table } from '../list.tsx'
import { Day, Time } from '../time.tsx'
import { ConnectToken } from './connect-token.tsx'
import { useCustody, useStack } from './stack-view.tsx'

export function TokenSection() {
  const { can, installation } = useStack()
  const custody = useCustody(10_000)
  const [connecting, setConnecting] = useState<'grant' | 'paste' | null>(null)
  const current = custody.data?.current ?? null
  const standing = current ?? installation.token

  return (
    <section className="section" aria-labelledby="token-heading">
      <div className="row-apart">
        <h2 id="token-heading">Management token</h2>
        {standing && can.custody && !connecting ? (
          <Button look={standing.status === 'dead' ? 'primary' : 'secondary'} onClick={() => setConnecting('grant')}>
            Replace token
          </Button>
        ) : null}
      </div>
      {custody.data ? (
        <>
          {current ? (
            <CurrentToken token={current} />
          ) : installation.token ? (
            <TokenUnproven token={installation.token} />
          ) : connecting ? null : (
            <Empty
              action={
                can.custody ? (
                  <div className="row">
                    <Button look="primary" onClick={() => setConnecting('grant')}>
                      Connect this stack
                    </Button>
                    <Button look="plain" onClick={() => setConnecting('paste')}>
                      Paste a token instead
                    </Button>
                  </div>
                ) : (
                  <p>A stack Owner or Admin can connect it on the app's configuration page.</p>
                )
              }
            >
              Quayside needs this stack's own management token. You authorise it once; it makes a token that belongs to the stack and names
              nobody, and gives your authorization back at once. Syncs go on when people leave.
            </Empty>
          )}
          {connecting ? (
            <ConnectToken way={connecting} replacing={standing !== null} onWay={setConnecting} onClose={() => setConnecting(null)} />
          ) : null}
          <GrantNotice custody={custody.data} />
          <History tokens={custody.data.history} />
        </>
      ) : custody.error ? (
        <Problem error={custody.error} retry={() => void custody.refetch()} />
      ) : (
        <Waiting label="the token's state" />
      )}
    </section>
  )
}

/** With a token that no longer works nobody can be proven an admin, so its details stay closed; replacing it is still possible. */
function TokenUnproven({ token }: { token: NonNullable<Installation['token']> }) {
  return (
    <div className="panel">
      <div className="panel-body">
        <dl className="facts">
          <dt>State</dt>
          <dd>
            <State of={tokenLook(token.status)} />
          </dd>
          {token.fingerprint ? (
            <>
              <dt>Fingerprint</dt>
              <dd>
                <Id value={token.fingerprint} />
              </dd>
            </>
          ) : null}
        </dl>
        <p className="muted">A new token lets the jobs of this stack go on. You prove that you are Owner or Admin by authorising it.</p>
      </div>
    </div>
  )
}

function CurrentToken({ token }: { token: Token }) {
  const fine = token.verification.every(row => row.result === 'granted' || row.result === 'likely')
  return (
    <div className="panel">
      <div className="panel-body">
        {token.error ? (
          <Notice tone={token.status === 'dead' ? 'bad' : 'wait'} title={token.error}>
            {token.status === 'dead' ? <p>Jobs of this stack are on hold; nothing is lost. A new token lets them go on.</p> : null}
          </Notice>
        ) : null}
        <dl className="facts">
          <dt>State</dt>
          <dd>
            <State of={tokenStates[token.status]} />
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
          <dd>{token.expiresAt === null ? token.origin === 'pasted' ? 'not known' : 'never' : <Day at={token.expiresAt} />}</dd>
          <dt>Verified</dt>
          <dd>
            <Time at={token.verifiedAt} none="not yet" />
          </dd>
        </dl>
        {token.verification.length > 0 ? (
          <details open={!fine}>
            <summary className="muted">What was verified ({token.verification.length})</summary>
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

function GrantNotice({ custody: { grant } }: { custody: Custody }) {
  if (grant?.status === 'revoke_refused') {
    return (
      <Notice tone="wait" title="The authorization could not be given back.">
        <p>
          Contentstack refused to revoke it{grant.validUntil === null ? '' : ', and it stays valid until '}
          {grant.validUntil === null ? '' : <Time at={grant.validUntil} />}. Quayside no longer holds it. Whoever gave it can end it at once
          in Contentstack: profile menu, Authorized Apps.
        </p>
      </Notice>
    )
  }
  return null
}

function History({ tokens }: { tokens: Token[] }) {
  if (tokens.length === 0) return null
  return (
    <details>
      <summary className="muted">Earlier tokens ({tokens.length})</summary>
      <Table
        label="Earlier tokens"
        rows={tokens}
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
  )
}
