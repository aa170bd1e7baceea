using System.Collections.Immutable;
using CsCheck;
using Qanat.Books;
using Qanat.Books.Tests;

namespace Qanat.Store.Tests;

/// <summary>Random sequences of facts, some wrong, some coming again, some at once: each store answers as the plain one in memory does.</summary>
public sealed class ModelTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public Task Any_sequence_of_facts_gives_the_same_answers_as_the_store_in_memory() =>
        Gen.UInt.Array[1, 150].SampleAsync(async choices =>
        {
            using TestDirectory directory = new();
            await Compare(choices, async () => await SqliteBookStore.OpenAsync(directory.Path, TimeProvider.System, Options(choices)));
        }, iter: 20, threads: 1);

    [Fact]
    public Task PostgreSQL_answers_as_the_store_in_memory_too()
    {
        PostgresServer server = PostgresServer.Shared;
        return Gen.UInt.Array[1, 150].SampleAsync(async choices =>
        {
            string schema = server.NewSchema();
            await Compare(choices, async () => await PostgresBookStore.OpenAsync(schema, TimeProvider.System, Options(choices)));
        }, iter: 6, threads: 1);
    }

    /// <summary>Sums are written at every commit, every few, or hardly ever.</summary>
    private static StoreOptions Options(uint[] choices) => StoreOptions.Default with { UnsummedRecordsMax = (int)(choices[0] % 3) switch { 0 => 0, 1 => 5, _ => 4_096 } };

    private static async Task Compare(uint[] choices, Func<Task<IStore>> open)
    {
        IStore store = await open();
        MemoryBookStore model = new();
        Sequence sequence = new(store, model);
        await sequence.RunAsync(choices);
        Assert.Equal(await Answers(model), await Answers(store));
        Assert.Empty(await store.VerifyAsync(Cancel));
        string before = await StoreTestKit.Everything(store);
        await store.DisposeAsync();
        await using IStore again = await open();
        Assert.Equal(before, await StoreTestKit.Everything(again));
    }

    /// <summary>All answers but the audit entry of a clearing, which is the store's own.</summary>
    private static async Task<string> Answers(IBookStore store) =>
        string.Join('\n', (await StoreTestKit.Everything(store)).Split('\n').Where(line => !line.Contains("demo.cleared", StringComparison.Ordinal)));

    /// <summary>Reads numbers as facts. What is right to append depends on what happened before, so it keeps the little it needs to know.</summary>
    private sealed class Sequence(IBookStore store, IBookStore model)
    {
        private readonly TestBooks _facts = new();
        private readonly List<Fact> _sent = [];
        private readonly Dictionary<RequestId, (Hold Hold, int Output)> _open = [];
        private readonly List<UsageRecord> _unposted = [];
        private readonly List<ApiKey> _keys = [];
        private ApiKey? _demo;
        private Instant _now = TestBooks.At(0);
        private Random _random = new(0);

        public async Task RunAsync(uint[] choices)
        {
            foreach (Fact fact in _facts.Directory) await Append(fact);
            _keys.Add(_facts.Key);
            Tenant tenant = _facts.NewTenant("Demo", isDemo: true);
            Project project = _facts.NewProject(tenant);
            _demo = _facts.NewKey(project);
            _keys.Add(_demo);
            await Append(new Together([new TenantSaved(tenant), new ProjectSaved(project), new KeySaved(_demo)]));
            List<Fact> batch = [];
            foreach (uint choice in choices)
            {
                _random = new Random((int)(choice >> 4));
                uint kind = choice % 16;
                // These need to know what the facts before them came to.
                if (kind is 4 or 5 or 15)
                {
                    await AppendAtOnce(batch);
                    batch.Clear();
                }
                if (kind is 4 or 5) await MeterAsync();
                else if (kind == 15 && _random.Next(4) == 0) await ClearAsync();
                else if (Next(kind) is Fact fact) batch.Add(fact);
                if (batch.Count <= _random.Next(6)) continue;
                await AppendAtOnce(batch);
                batch.Clear();
            }
            await AppendAtOnce(batch);
        }

        private Fact? Next(uint kind) => kind switch
        {
            0 or 1 or 2 => Place(),
            3 => Extend(),
            6 or 7 => Settle(),
            8 => Ingest(),
            9 => Release(),
            10 => Post(),
            11 => Again(),
            12 => Save(),
            13 => new Audited(new AuditEntry(_now, "owner", "note", _facts.NewId().ToString(), null, "x")),
            14 => Wrong(),
            _ => Price(),
        };

        private HoldPlaced Place()
        {
            Hold hold = _facts.NewHold(_now, Pick(_keys)) with { Model = new ModelName("m" + _random.Next(3)), Pool = _random.Next(2) == 0 ? TestBooks.Pool : null };
            _open[hold.Id] = (hold, 0);
            return new HoldPlaced(hold);
        }

        private Fact? Extend()
        {
            if (_open.Count == 0) return null;
            Hold hold = Pick([.. _open.Values]).Hold;
            Hold larger = hold with { Amount = hold.Amount + TestBooks.Usd(_random.Next(1, 5_000_000)) };
            _open[hold.Id] = (larger, _open[hold.Id].Output);
            return new HoldExtended(hold.Id, larger.Amount);
        }

        private async Task MeterAsync()
        {
            List<UsageProgress> progress = [];
            foreach (OpenHold open in await model.ReadOpenHoldsAsync(Cancel))
            {
                if (_random.Next(2) == 0) continue;
                int output = (int)open.Progress.Tokens.Output + 1 + _random.Next(5);
                _open[open.Hold.Id] = (open.Hold, output);
                progress.Add(TestBooks.ProgressOf(open.Hold, output));
            }
            Instant to = new(_now.UnixNanoseconds + _random.NextInt64(1, _random.Next(5) == 0 ? 3 * Instant.NanosecondsPerHour : 20_000_000_000));
            CapacityState state = (CapacityState)_random.Next(3);
            long busy = state == CapacityState.Serving ? _random.NextInt64(0, to.UnixNanoseconds - _now.UnixNanoseconds) : 0;
            await Append(new StepsMetered([.. progress], [new CapacityRecord(TestBooks.Pool, _now, to, state, busy)]));
            _now = to;
        }

        private Fact? Settle()
        {
            if (_open.Count == 0) return null;
            Hold hold = Pick([.. _open.Values]).Hold;
            _open.Remove(hold.Id);
            return new HoldSettled(Settled(hold));
        }

        private HoldSettled Ingest() => new(Settled(_facts.NewHold(_now, Pick(_keys))));

        private UsageRecord Settled(Hold hold)
        {
            Currency currency = _random.Next(3) == 0 ? TestBooks.Eur : Currency.Usd;
            UsageRecord record = _facts.RecordOf(hold, _random.Next(1000)) with
            {
                CompletedAt = new Instant(hold.PlacedAt.UnixNanoseconds + _random.NextInt64(2 * Instant.NanosecondsPerHour)),
                Outcome = (Outcome)_random.Next(5),
                Charge = _random.Next(4) == 0 ? null : new Money(_random.NextInt64(-10, 3_000_000_000), currency),
                Cost = _random.Next(4) == 0 ? null : new Money(_random.NextInt64(3_000_000_000), currency),
            };
            _unposted.Add(record);
            return record;
        }

        private Fact? Release()
        {
            Hold[] unused = [.. _open.Values.Where(open => open.Output == 0).Select(open => open.Hold)];
            if (unused.Length == 0) return null;
            Hold hold = Pick(unused);
            _open.Remove(hold.Id);
            return new HoldReleased(hold.Id, _now, "unused");
        }

        /// <summary>Some unposted records of one tenant.</summary>
        private Fact? Post()
        {
            if (_unposted.Count == 0) return null;
            TenantId tenant = Pick(_unposted).Party.Tenant;
            UsageRecord[] records = [.. _unposted.Where(record => record.Party.Tenant == tenant && _random.Next(3) > 0)];
            _unposted.RemoveAll(records.Contains);
            return new TransactionPosted(_facts.NewTransaction(_now, TestBooks.Usd(_random.Next()), tenant), [.. records.Select(record => record.Id)]);
        }

        private Fact? Again() => _sent.Count == 0 ? null : Pick(_sent);

        private Fact Save() => _random.Next(3) switch
        {
            0 => new TenantSaved(_facts.Tenant with { Name = "Acme " + _random.Next(), MonthlyBudget = TestBooks.Usd(_random.Next()) }),
            1 => new ProjectSaved(_facts.Project with { Name = "Search " + _random.Next() }),
            _ => new KeySaved(_facts.Key with { Name = "key " + _random.Next() }),
        };

        private Fact Price() => _random.Next(2) == 0 ? new PriceAdded(_facts.NewPrice()) : new PoolRateAdded(_facts.NewRate());

        private Fact Wrong() => _random.Next(5) switch
        {
            0 => new HoldReleased(new RequestId(_facts.NewId()), _now, "never placed"),
            1 => new TransactionPosted(_facts.NewTransaction(_now) with { Entries = [new Entry(new Account("a"), TestBooks.Usd(1), Dimensions.None)] }, []),
            2 => new Together([new HoldPlaced(_facts.NewHold(_now)), new TransactionPosted(_facts.NewTransaction(_now), [new RequestId(_facts.NewId())])]),
            3 => new ProjectSaved(_facts.NewProject(_facts.NewTenant("nobody"))),
            _ => new HoldSettled(_facts.NewRecord(_now, charge: new Money(Int128.MaxValue, Currency.Usd))),
        };

        /// <summary>Once, and only when no demo request is open; what refers to the demo afterwards is refused by the store and so never reaches the model.</summary>
        private async Task ClearAsync()
        {
            if (_demo is null || (await model.ReadOpenHoldsAsync(Cancel)).Any(open => open.Hold.Party.Tenant == _demo.Tenant)) return;
            UsageSum[] sums = [.. await model.SumUsageAsync(new SumQuery(Period.All, GroupBy.None, _demo.Tenant), Cancel)];
            ImmutableArray<ClearedUsage> cleared = sums.Length == 0 ? [] : [new ClearedUsage(TestBooks.Pool, sums.Sum(sum => sum.Device.TotalNanoseconds), sums.Sum(sum => sum.Requests))];
            await Append(new DemoCleared(_now, _facts.NewTransaction(_now)) { Cleared = cleared });
            _unposted.RemoveAll(record => record.Party.Tenant == _demo.Tenant);
            _keys.Remove(_demo);
            _demo = null;
        }

        private T Pick<T>(IReadOnlyList<T> from) => from[_random.Next(from.Count)];

        /// <summary>All at once to the store; what it takes, the model must take too, or it must be something that changes nothing.</summary>
        private async Task AppendAtOnce(List<Fact> facts)
        {
            Fact[] handed = _random.Next(3) == 0 && facts.Count > 1 ? [new Together([.. facts])] : [.. facts];
            Task[] appended = [.. handed.Select(fact => store.AppendAsync(fact, Cancel))];
            List<Fact> refused = [];
            for (int index = 0; index < handed.Length; index++)
            {
                if (await Record.ExceptionAsync(() => appended[index]) is null && !await Accepted(handed[index])) refused.Add(handed[index]);
            }
            // In one commit a posting may stand before its records, which the model wants first.
            foreach (Fact fact in refused) await Accepted(fact is Together together ? new Together([.. together.Facts.OrderBy(part => part is TransactionPosted)]) : fact);
        }

        private async Task Append(Fact fact)
        {
            await store.AppendAsync(fact, Cancel);
            await Accepted(fact);
        }

        /// <summary>Whether the model takes it too.</summary>
        private async Task<bool> Accepted(Fact fact)
        {
            if (await Record.ExceptionAsync(() => model.AppendAsync(fact, Cancel)) is not null) return false;
            // Only facts with an id of their own: the model takes any other for a new one.
            foreach (Fact part in fact is Together together ? together.Facts.AsEnumerable() : [fact])
            {
                if (part is HoldPlaced or HoldSettled or HoldReleased or TransactionPosted or PriceAdded or PoolRateAdded) _sent.Add(part);
            }
            return true;
        }
    }
}
