using System.Collections.Immutable;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>A place in the navigation. OnPhone: it has a place in the bottom bar; the others are behind "More".</summary>
internal sealed record NavItem(string Href, string Label, string ShortLabel, IconName Icon, NavGroup Group, PhonePlace Phone, Permission Needs)
{
    public static readonly ImmutableArray<NavItem> All =
    [
        new("/", "Overview", "Overview", IconName.Overview, NavGroup.Run, PhonePlace.Bar, Permission.SeeBooks),
        new("/playground", "Playground", "Play", IconName.Playground, NavGroup.Run, PhonePlace.Bar, Permission.Infer),
        new("/pnl", "Profit & loss", "P&L", IconName.Statement, NavGroup.Books, PhonePlace.Bar, Permission.SeeBooks),
        new("/requests", "Requests", "Requests", IconName.Requests, NavGroup.Books, PhonePlace.Bar, Permission.SeeUsage),
        new("/journal", "Journal", "Journal", IconName.Journal, NavGroup.Books, PhonePlace.Sheet, Permission.SeeBooks),
        new("/capacity", "Unused capacity", "Capacity", IconName.Capacity, NavGroup.Books, PhonePlace.Sheet, Permission.SeeBooks),
        new("/invoices", "Invoices", "Invoices", IconName.Invoices, NavGroup.Books, PhonePlace.Sheet, Permission.SeeInvoices),
        new("/periods", "Periods & exports", "Periods", IconName.Periods, NavGroup.Books, PhonePlace.Sheet, Permission.SeeBooks),
        new("/checks", "Checks", "Checks", IconName.Checks, NavGroup.Books, PhonePlace.Sheet, Permission.SeeBooks),
        new("/outlook", "Outlook", "Outlook", IconName.Outlook, NavGroup.Ahead, PhonePlace.Sheet, Permission.SeeBooks),
        new("/investments", "Investments", "Invest", IconName.Investments, NavGroup.Ahead, PhonePlace.Sheet, Permission.SeeBooks),
        new("/tenants", "Tenants & keys", "Tenants", IconName.Tenants, NavGroup.Setup, PhonePlace.Sheet, Permission.SeeDirectory),
        new("/contracts", "Contracts", "Contracts", IconName.Contracts, NavGroup.Setup, PhonePlace.Sheet, Permission.SeeBooks),
        new("/costs", "Cost facts", "Costs", IconName.Costs, NavGroup.Setup, PhonePlace.Sheet, Permission.SeeCosts),
        new("/upstreams", "Upstreams", "Upstreams", IconName.Upstreams, NavGroup.Setup, PhonePlace.Sheet, Permission.Operate),
        new("/prices", "Prices & costs", "Prices", IconName.Prices, NavGroup.Setup, PhonePlace.Sheet, Permission.SeePrices),
        new("/audit", "Audit log", "Audit", IconName.Audit, NavGroup.Setup, PhonePlace.Sheet, Permission.SeeAudit),
        new("/settings", "Settings", "Settings", IconName.Settings, NavGroup.Setup, PhonePlace.Sheet, Permission.SeeStatus),
    ];
}

internal enum NavGroup { Run, Books, Ahead, Setup }

internal enum PhonePlace { Bar, Sheet }
