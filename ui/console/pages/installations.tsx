// Every installation of the person's organizations.
import { Link } from 'react-router'
import type { Installation } from '../../../server/http/contract/stack.ts'
import { consoleApi } from '../../api/console.ts'
import { count, Empty, Id } from '../../components/basics.tsx'
import { type Column, ListOf, useFilters } from '../../components/list.tsx'
import { installationLook, State, tokenLook } from '../../components/state.tsx'
import { expiryWords } from '../../components/stack/token-words.ts'
import { exactTime, Time, useNow } from '../../components/time.tsx'
import { PageHead } from '../frame.tsx'
import { useList } from './use-list.ts'

export const installationColumns: Column<Installation>[] = [
  {
    title: 'State',
    render: installation => (
      <>
        <State of={installationLook(installation)} />
        {installation.hold ? <p className="meta">{installation.hold.reason}</p> : null}
      </>
    )
  },
  {
    title: 'Stack',
    render: installation => (
      <>
        <Link to={`/installations/${installation.id}`}>{installation.stackName || 'Unnamed stack'}</Link>
        <p className="meta">
          {installation.organizationName} · {installation.region}
        </p>
      </>
    )
  },
  { title: 'API key', render: installation => <Id value={installation.stackApiKey} /> },
  {
    title: 'Token',
    render: ({ token }) =>
      token ? (
        <>
          <State of={tokenLook(token)} />
          {token.status === 'dead' ? null : (
            <p className="meta time">{token.expiresAt === null ? 'no expiry known' : <Expiry at={token.expiresAt} />}</p>
          )}
        </>
      ) : (
        <span className="muted">none</span>
      )
  },
  { title: 'Active syncs', number: true, render: installation => count(installation.syncs.active) },
  { title: 'Paused', number: true, render: installation => count(installation.syncs.paused) },
  {
    title: 'Failing',
    number: true,
    render: installation =>
      installation.syncs.failing > 0 ? <strong className="tone-bad">{count(installation.syncs.failing)}</strong> : '0'
  },
  { title: 'Installed', render: installation => <Time at={installation.createdAt} /> }
]

function Expiry({ at }: { at: number }) {
  const now = useNow()
  return <span title={exactTime(at)}>{expiryWords(at, now)}</span>
}

export function InstallationsPage() {
  const { values } = useFilters([])
  const query = useList('installations', consoleApi.installations, values)
  return (
    <>
      <PageHead title="Installations" />
      <ListOf
        label="Installations"
        waitingFor="installations"
        query={query}
        columns={installationColumns}
        rowKey={installation => installation.id}
        empty={<Empty>Stacks that install Quayside from Developer Hub or the Marketplace will stand here, one row each.</Empty>}
      />
    </>
  )
}
