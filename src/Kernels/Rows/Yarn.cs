namespace Qanat.Kernels;

/// <summary>YaRN (Peng et al. 2023): rotary frequencies for contexts longer than the trained one. Frequencies that turn often within the trained context are kept,
/// those that hardly turn are divided by the factor, those between are mixed.</summary>
public static class Yarn
{
    /// <param name="dimensions">Rotary dimensions of a head.</param>
    /// <param name="theta">Base of the frequencies.</param>
    /// <param name="factor">How many times longer the context is; 1 changes nothing.</param>
    /// <param name="originalContext">Tokens the model was trained on.</param>
    /// <param name="betaFast">Turns from which a frequency is kept.</param>
    /// <param name="betaSlow">Turns up to which a frequency is divided.</param>
    public static double[] Frequencies(int dimensions, double theta, double factor, double originalContext, double betaFast, double betaSlow)
    {
        double[] frequencies = Rope.Frequencies(dimensions, theta);
        double low = Math.Max(0, Math.Floor(PairThatTurns(betaFast)));
        double high = Math.Min(dimensions - 1, Math.Ceiling(PairThatTurns(betaSlow)));
        for (int i = 0; i < frequencies.Length; i++)
        {
            double divided = Math.Clamp((i - low) / Math.Max(0.001, high - low), 0, 1);
            frequencies[i] = frequencies[i] / factor * divided + frequencies[i] * (1 - divided);
        }
        return frequencies;

        double PairThatTurns(double turns) => dimensions * Math.Log(originalContext / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
    }

    /// <summary>What cosines and sines are multiplied by.</summary>
    public static double Magnitude(double factor) => 0.1 * Math.Log(factor) + 1;
}
