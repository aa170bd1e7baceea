namespace Qanat.Console;

public enum IconName
{
    Overview, Playground, Statement, Requests, Journal, Checks, Capacity, Invoices, Periods, Contracts, Costs, Audit, Tenants, Upstreams, Prices, Settings, Outlook, Investments, More, Close, Back, Forward, Plus, Copy, Stop, Send, Sun, Leave, Refresh, Warning,
}
