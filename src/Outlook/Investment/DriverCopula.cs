using MathNet.Numerics.LinearAlgebra;

namespace Qanat.Outlook;

/// <summary>Correlated drivers by a Gaussian copula: correlated normals, each mapped to its rank and from there to its own distribution.</summary>
internal static class DriverCopula
{
    /// <summary>The lower triangle L with L L' = correlations of the drivers in their order; null if no such drivers exist.</summary>
    public static double[][]? Factor(IReadOnlyList<DriverSetting> drivers, IReadOnlyList<Correlation> correlations)
    {
        int n = drivers.Count;
        if (n == 0) return [];
        Matrix<double> matrix = Matrix<double>.Build.DenseIdentity(n);
        int IndexOf(Driver driver) => drivers.ToList().FindIndex(d => d.Driver == driver);
        foreach (Correlation c in correlations)
        {
            int a = IndexOf(c.First), b = IndexOf(c.Second);
            matrix[a, b] = matrix[b, a] = c.Coefficient;
        }
        try
        {
            return matrix.Cholesky().Factor.ToRowArrays();
        }
        catch (ArgumentException)
        {
            return null;
        }
    }
}
