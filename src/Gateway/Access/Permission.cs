namespace Qanat.Gateway;

/// <summary>What can be asked of this cloud. Every endpoint and every page names the one it needs.</summary>
public enum Permission
{
    /// <summary>To send requests to models.</summary>
    Infer,

    /// <summary>What is served and how busy it is.</summary>
    SeeStatus,

    /// <summary>Tenants, projects, identities and their budgets; never a secret.</summary>
    SeeDirectory,

    /// <summary>To create and rename tenants.</summary>
    ChangeTenants,

    /// <summary>What a tenant may use and spend: rates, concurrency, budget, credit, and the switch that stops it.</summary>
    ChangeLimits,

    /// <summary>Projects, keys and accounts: to make them and to end them. Nobody hands out more than they have.</summary>
    ChangeKeys,

    /// <summary>Limits of projects and keys.</summary>
    ChangeBudgets,

    SeeUsage,
    SeePrices,
    ChangePrices,
    SeeCosts,
    ChangeCosts,

    /// <summary>Statements, journal, checks and exports.</summary>
    SeeBooks,

    /// <summary>Contracts, periods, invoices, re-rating and imports.</summary>
    ChangeBooks,

    SeeInvoices,
    SeeAudit,

    /// <summary>Prompts and answers that a tenant has kept.</summary>
    SeeTranscripts,

    /// <summary>Whether they are kept, also for clients that go on from responses, and deleting them.</summary>
    ChangeTranscripts,

    /// <summary>Deployments, upstreams and the running process.</summary>
    Operate,
}

/// <summary>How much of the cloud an identity reaches.</summary>
public enum Reach
{
    /// <summary>The tenant it belongs to, and nothing else.</summary>
    Tenant,

    /// <summary>All of it: for those who run it.</summary>
    Cloud,
}
